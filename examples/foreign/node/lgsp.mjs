// One signed call to the gateway, and its answer verified: Node 18 or newer, nothing but what Node brings. Rules: docs/wire.md, REST.
//
//   node lgsp.mjs IDENTITY GET  '/indicator/v1/values?indicator=KT-05&area=04&period=2026-Q3'
//   node lgsp.mjs IDENTITY POST /field-report/v1/requests report.json [MESSAGE-ID]
//
// Prints the answer. Exit code 0: answered; 1: refused; 2: no answer, or one that does not prove itself.
// Keys on P-256 (as issued by the gateway's own authority). Copy the class Lgsp; the lines below it are the command.

import { createHash, createPrivateKey, randomBytes, randomUUID, sign, verify, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { join } from 'node:path'

class NotProven extends Error {}

export class Lgsp {
  constructor(folder) {
    const file = (name) => readFileSync(join(folder, name))
    this.about = JSON.parse(file('system.json'))
    this.gateway = this.about.gateway.replace(/\/$/, '')
    this.key = createPrivateKey(file('sign.key'))
    this.gatewayKey = new X509Certificate(file('gateway-sign.crt')).publicKey
    this.agent = new Agent({ key: file('tls.key'), cert: file('tls.crt'), ca: file('ca.crt'), minVersion: 'TLSv1.2', keepAlive: true })
    this.token = { value: '', until: 0 }
  }

  // Ask or hand in. For what is handed in, keep messageId and give it again to repeat the message: it is never handled twice.
  async call(method, path, body = null, messageId = null) {
    const headers = {
      accept: 'application/json',
      'accept-language': 'vi',
      authorization: `Bearer ${await this.accessToken()}`,
      ...(body !== null && { 'content-type': 'application/json', 'content-digest': digest(body) }),
      ...(messageId !== null && { 'idempotency-key': `"${messageId}"` }),
    }
    const now = Math.floor(Date.now() / 1000)
    const values = { '@method': method, '@target-uri': this.gateway + path, ...headers }
    const covered = ['@method', '@target-uri', 'authorization', 'content-type', 'content-digest', 'idempotency-key'].filter((name) => name in values)
    const params =
      `(${covered.map((name) => `"${name}"`).join(' ')});created=${now};expires=${now + 60}` +
      `;nonce="${randomBytes(18).toString('base64url')}";keyid="${this.about.sign_key_id}";tag="lgsp-request"`
    const base = [...covered.map((name) => `"${name}": ${values[name]}`), `"@signature-params": ${params}`].join('\n')
    const signature = `:${this.signed(base).toString('base64')}:`
    const answer = await this.send(method, path, { ...headers, 'signature-input': `sig1=${params}`, signature: `sig1=${signature}` }, body)
    return this.verified(answer, signature)
  }

  // Believe an answer only if the gateway signed it, whole, and for this very request.
  verified(answer, requestSignature) {
    const wrong = (why) => { throw new NotProven(`status ${answer.status}: ${why}`) }
    const [, params, list, rest] = /^sig1=(\(([^)]*)\)(.*))$/.exec(answer.headers['signature-input'] ?? '') ?? []
    if (params === undefined) {
      // The gateway signs nothing for a caller who proved nothing: such a refusal is its word only as far as TLS goes.
      if (answer.status >= 400) return { ...answer, proven: false }
      wrong('not signed')
    }
    const covered = list.split(' ')
    const bound = '"signature";req;key="sig1"'
    const there = ['content-type', 'lgsp-transfer', 'lgsp-receipt', 'lgsp-checkpoint'].filter((name) => name in answer.headers)
    for (const name of ['"@status"', '"content-digest"', bound, ...there.map((name) => `"${name}"`)]) {
      if (!covered.includes(name)) wrong(`${name} is not signed`)
    }
    const lines = covered.map((name) => {
      const value = name === '"@status"' ? answer.status : name === bound ? requestSignature : answer.headers[name.slice(1, -1)]
      return `${name}: ${value ?? wrong(`${name} is missing`)}`
    })
    const created = Number(/;created=([0-9]+)/.exec(rest)?.[1])
    if (!(Math.abs(Date.now() / 1000 - created) < 65)) wrong('too old, or from the future: check the clock')
    if (!rest.includes(';tag="lgsp-answer"')) wrong('its signature is for something else')
    if (!rest.includes(`;keyid="${this.about.gateway_key_id}"`)) wrong('signed by a key that is not pinned; see GET /keys')
    const value = Buffer.from(/^sig1=:([^:]*):$/.exec(answer.headers.signature ?? '')?.[1] ?? '', 'base64')
    const base = [...lines, `"@signature-params": ${params}`].join('\n')
    if (!verify('sha256', Buffer.from(base), { key: this.gatewayKey, dsaEncoding: 'ieee-p1363' }, value)) wrong('the signature does not hold')
    if (answer.headers['content-digest'] !== digest(answer.body)) wrong('the body is another')
    return { ...answer, proven: true }
  }

  // RFC 7523: an assertion signed with our key buys a token that is bound to our client certificate.
  async accessToken() {
    const now = Math.floor(Date.now() / 1000)
    if (now < this.token.until) return this.token.value
    const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const { system, sign_key_id: kid } = this.about
    const audience = `${this.gateway}/oauth/token`
    const claims = { iss: system, sub: system, aud: audience, iat: now, exp: now + 60, jti: randomUUID() }
    const unsigned = `${encode({ alg: 'ES256', typ: 'JWT', kid })}.${encode(claims)}`
    const form = new URLSearchParams({
      grant_type: 'client_credentials',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: `${unsigned}.${this.signed(unsigned).toString('base64url')}`,
    })
    const answer = await this.send('POST', '/oauth/token', { 'content-type': 'application/x-www-form-urlencoded' }, Buffer.from(`${form}`))
    if (answer.status !== 200) throw Object.assign(new Error('no token'), { answer })
    const { access_token: value, expires_in: lives } = JSON.parse(answer.body)
    this.token = { value, until: now + lives - 60 }
    return value
  }

  signed(text) {
    return sign('sha256', Buffer.from(text), { key: this.key, dsaEncoding: 'ieee-p1363' })
  }

  send(method, path, headers, body) {
    return new Promise((resolve, reject) => {
      const length = body === null ? {} : { 'content-length': body.length }
      const asked = request(this.gateway + path, { method, agent: this.agent, headers: { ...headers, ...length }, timeout: 30000 }, (answer) => {
        const parts = []
        answer.on('data', (part) => parts.push(part))
        answer.on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, body: Buffer.concat(parts) }))
        answer.on('error', reject)
      })
      asked.on('timeout', () => asked.destroy(new Error('no answer in time')))
      asked.on('error', reject)
      asked.end(body)
    })
  }
}

function digest(body) {
  return `sha-256=:${createHash('sha256').update(body).digest('base64')}:`
}

const [folder, method, path, file, messageId] = process.argv.slice(2)
if (path === undefined) {
  console.error('usage: node lgsp.mjs IDENTITY GET|POST PATH [FILE [MESSAGE-ID]]')
  process.exit(2)
}
// These come in parts, and only their head is signed: there is no digest of the whole.
const parts = method === 'GET' ? /^\/feeds\/[^?]*(?:(\/export)(?:\?|$)|\?(?:.*&)?form=events(?:&|$))/.exec(path) : null
if (parts) {
  console.error(`not for this sample, nothing was sent: use lgsp client ${parts[1] ? 'feed-export CONTRACT FILE' : 'feed CONTRACT --follow'}`)
  process.exit(2)
}
try {
  const body = file === undefined ? null : readFileSync(file)
  const answer = await new Lgsp(folder).call(method, path, body, method === 'POST' ? messageId ?? randomUUID() : null)
  console.error(`${answer.status}  transfer ${answer.headers['lgsp-transfer'] ?? '-'}${answer.proven ? '' : '  (not signed)'}`)
  process.stdout.write(answer.body)
  process.exitCode = answer.status < 300 ? 0 : 1
} catch (trouble) {
  if (trouble.answer) process.stdout.write(trouble.answer.body)
  console.error(`${trouble.constructor.name}: ${trouble.message}`)
  process.exitCode = trouble.answer ? 1 : 2
}
process.exit()
