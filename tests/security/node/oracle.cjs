// One operation of another implementation: JSON on standard input, JSON on standard output.
'use strict';
const { readFileSync } = require('fs');
const { createRequire } = require('module');

const given = JSON.parse(readFileSync(0, 'utf8'));
const installed = createRequire(given.modules + '/');
const { SignedXml } = installed('xml-crypto');
const { WSSecurityCert, WSSecurityCertWithToken } = installed('soap');
const xmlenc = installed('xml-encryption');
const jose = installed('jose');

const GCM = 'http://www.w3.org/2009/xmlenc11#aes256-gcm';
const OAEP = 'http://www.w3.org/2009/xmlenc11#rsa-oaep';

const protectedAlg = (body) => JSON.parse(Buffer.from(body.split('.')[0], 'base64url')).alg;

const operations = {
  // npm soap signs an envelope as a client of its would send it
  sign({ envelope, prefix, key, certificate, withToken, options }) {
    const security = withToken
      ? new WSSecurityCertWithToken({ privateKey: key, publicKey: certificate, keyPassword: '', options })
      : new WSSecurityCert(key, certificate, '', options);
    return security.postProcess(envelope, prefix);
  },
  // xml-crypto checks a signature; what it covers comes back
  verify({ envelope, certificate }) {
    const signature = envelope.match(/<ds:Signature[ >].*<\/ds:Signature>/s)[0];
    const checked = new SignedXml({ publicCert: certificate });
    checked.loadSignature(signature);
    if (!checked.checkSignature(envelope)) throw new Error('the signature does not hold');
    return checked.getSignedReferences();
  },
  encrypt({ content, key, certificate }) {
    const options = {
      rsa_pub: key, pem: certificate, encryptionAlgorithm: GCM, keyEncryptionAlgorithm: OAEP, keyEncryptionDigest: 'sha256', keyEncryptionMgf: 'sha256',
    };
    return new Promise((done, failed) => xmlenc.encrypt(content, options, (error, made) => (error ? failed(error) : done(made))));
  },
  // jose signs, then encrypts, both compact
  async seal({ payload, header, signer, jwe, receiver }) {
    const jws = await new jose.CompactSign(Buffer.from(payload)).setProtectedHeader(header).sign(await jose.importPKCS8(signer, header.alg));
    const key = await jose.importX509(receiver, jwe.alg);
    return new jose.CompactEncrypt(Buffer.from(jws)).setProtectedHeader(jwe).encrypt(key);
  },
  // and opens what others sealed
  async open({ body, alg, key, certificate }) {
    const { plaintext, protectedHeader } = await jose.compactDecrypt(body, await jose.importPKCS8(key, protectedAlg(body)));
    const inner = await jose.compactVerify(plaintext, await jose.importX509(certificate, alg));
    return { outer: protectedHeader, inner: inner.protectedHeader, payload: Buffer.from(inner.payload).toString() };
  },
  decrypt({ data, key }) {
    return new Promise((done, failed) => xmlenc.decrypt(data, { key }, (error, made) => (error ? failed(error) : done(made))));
  },
};

Promise.resolve()
  .then(() => operations[given.operation](given))
  .then((result) => process.stdout.write(JSON.stringify({ result })))
  .catch((error) => process.stdout.write(JSON.stringify({ error: String(error.message || error) })));
