// One signed call to the gateway, and its answer verified: JDK 11 or newer, nothing but what the JDK brings. Rules: docs/wire.md, REST.
//
//   java Lgsp.java IDENTITY GET  '/indicator/v1/values?indicator=KT-05&area=04&period=2026-Q3'
//   java Lgsp.java IDENTITY POST /field-report/v1/requests report.json [MESSAGE-ID]
//
// Prints the answer. Exit code 0: answered; 1: refused; 2: no answer, or one that does not prove itself.
// Keys on P-256 (as issued by the gateway's own authority). Copy the class without main.

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.SecureRandom;
import java.security.Signature;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

public class Lgsp {
    static final class NotProven extends Exception {
        NotProven(String why) { super(why); }
    }

    /** What the gateway said. `proven` is false only for a refusal that it did not sign, as it does for a caller who proved nothing. */
    static final class Answer {
        final int status; final HttpResponse<byte[]> response; final boolean proven;
        Answer(HttpResponse<byte[]> response, boolean proven) { this.status = response.statusCode(); this.response = response; this.proven = proven; }
    }

    private static final Base64.Encoder URL64 = Base64.getUrlEncoder().withoutPadding();
    private static final String BOUND = "\"signature\";req;key=\"sig1\"";
    private final String system, keyId, gateway, gatewayKeyId;
    private final PrivateKey key;
    private final PublicKey gatewayKey;
    private final HttpClient http;
    private String token;
    private Instant tokenUntil = Instant.EPOCH;

    Lgsp(Path folder) throws IOException, GeneralSecurityException {
        String about = Files.readString(folder.resolve("system.json"));
        system = value(about, "system");
        keyId = value(about, "sign_key_id");
        gateway = value(about, "gateway").replaceAll("/$", "");
        gatewayKeyId = value(about, "gateway_key_id");
        key = privateKey(folder.resolve("sign.key"));
        gatewayKey = certificates(folder.resolve("gateway-sign.crt")).get(0).getPublicKey();
        http = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).sslContext(tls(folder)).connectTimeout(Duration.ofSeconds(5)).build();
    }

    /** Ask or hand in. For what is handed in, keep messageId and give it again to repeat the message: it is never handled twice. */
    Answer call(String method, String path, byte[] body, String messageId) throws Exception {
        Map<String, String> headers = new LinkedHashMap<>();
        headers.put("authorization", "Bearer " + accessToken());
        if (body != null) {
            headers.put("content-type", "application/json");
            headers.put("content-digest", digest(body));
        }
        if (messageId != null) headers.put("idempotency-key", '"' + messageId + '"');
        List<String> names = new ArrayList<>(List.of("\"@method\"", "\"@target-uri\"")), lines = new ArrayList<>();
        lines.add("\"@method\": " + method);
        lines.add("\"@target-uri\": " + gateway + path);
        headers.forEach((name, value) -> { names.add('"' + name + '"'); lines.add('"' + name + "\": " + value); });
        byte[] nonce = new byte[18];
        new SecureRandom().nextBytes(nonce);
        long now = Instant.now().getEpochSecond();
        String params = "(" + String.join(" ", names) + ");created=" + now + ";expires=" + (now + 60)
            + ";nonce=\"" + URL64.encodeToString(nonce) + "\";keyid=\"" + keyId + "\";tag=\"lgsp-request\"";
        lines.add("\"@signature-params\": " + params);
        String signature = ":" + Base64.getEncoder().encodeToString(sign(String.join("\n", lines))) + ":";
        headers.put("signature-input", "sig1=" + params);
        headers.put("signature", "sig1=" + signature);
        headers.put("accept", "application/json");
        headers.put("accept-language", "vi");
        return verified(send(method, path, headers, body), signature);
    }

    /** Believe an answer only if the gateway signed it, whole, and for this very request. */
    private Answer verified(HttpResponse<byte[]> answer, String requestSignature) throws NotProven, GeneralSecurityException {
        Matcher input = Pattern.compile("sig1=(\\(([^)]*)\\)(.*))").matcher(header(answer, "signature-input", ""));
        if (!input.matches()) {
            if (answer.statusCode() >= 400) return new Answer(answer, false);
            throw new NotProven("not signed");
        }
        List<String> covered = Arrays.asList(input.group(2).split(" ")), needed = new ArrayList<>(List.of("\"@status\"", "\"content-digest\"", BOUND));
        for (String name : List.of("content-type", "lgsp-transfer", "lgsp-receipt", "lgsp-checkpoint"))
            if (answer.headers().firstValue(name).isPresent()) needed.add('"' + name + '"');
        if (!covered.containsAll(needed)) throw new NotProven("its signature does not cover " + needed);
        List<String> lines = new ArrayList<>();
        for (String name : covered) {
            String value = name.equals("\"@status\"") ? "" + answer.statusCode()
                : name.equals(BOUND) ? requestSignature : header(answer, name.replace("\"", ""), null);
            if (value == null) throw new NotProven(name + " is missing");
            lines.add(name + ": " + value);
        }
        String rest = input.group(3);
        Matcher created = Pattern.compile(";created=([0-9]{1,12})").matcher(rest);
        if (!created.find() || Math.abs(Instant.now().getEpochSecond() - Long.parseLong(created.group(1))) > 65)
            throw new NotProven("too old, or from the future: check the clock");
        if (!rest.contains(";tag=\"lgsp-answer\"")) throw new NotProven("its signature is for something else");
        if (!rest.contains(";keyid=\"" + gatewayKeyId + "\"")) throw new NotProven("signed by a key that is not pinned; see GET /keys");
        lines.add("\"@signature-params\": " + input.group(1));
        Matcher value = Pattern.compile("sig1=:([A-Za-z0-9+/=]{88}):").matcher(header(answer, "signature", ""));
        Signature check = Signature.getInstance("SHA256withECDSAinP1363Format");
        check.initVerify(gatewayKey);
        check.update(String.join("\n", lines).getBytes(StandardCharsets.US_ASCII));
        if (!value.matches() || !check.verify(Base64.getDecoder().decode(value.group(1)))) throw new NotProven("the signature does not hold");
        if (!header(answer, "content-digest", "").equals(digest(answer.body()))) throw new NotProven("the body is another");
        return new Answer(answer, true);
    }

    /** RFC 7523: an assertion signed with our key buys a token that is bound to our client certificate. */
    private String accessToken() throws Exception {
        Instant now = Instant.now();
        if (now.isBefore(tokenUntil)) return token;
        long at = now.getEpochSecond();
        String head = "{\"alg\":\"ES256\",\"typ\":\"JWT\",\"kid\":\"" + keyId + "\"}";
        String claims = "{\"iss\":\"" + system + "\",\"sub\":\"" + system + "\",\"aud\":\"" + gateway + "/oauth/token\",\"iat\":" + at
            + ",\"exp\":" + (at + 60) + ",\"jti\":\"" + UUID.randomUUID() + "\"}";
        String unsigned = URL64.encodeToString(head.getBytes(StandardCharsets.UTF_8)) + "." + URL64.encodeToString(claims.getBytes(StandardCharsets.UTF_8));
        String form = "grant_type=client_credentials&client_assertion_type="
            + URLEncoder.encode("urn:ietf:params:oauth:client-assertion-type:jwt-bearer", StandardCharsets.UTF_8)
            + "&client_assertion=" + unsigned + "." + URL64.encodeToString(sign(unsigned));
        Map<String, String> headers = Map.of("content-type", "application/x-www-form-urlencoded");
        HttpResponse<byte[]> answer = send("POST", "/oauth/token", headers, form.getBytes(StandardCharsets.US_ASCII));
        String content = new String(answer.body(), StandardCharsets.UTF_8);
        if (answer.statusCode() != 200) throw new IOException("no token: " + content);
        token = value(content, "access_token");
        Matcher lives = Pattern.compile("\"expires_in\"\\s*:\\s*([0-9]+)").matcher(content);
        tokenUntil = now.plusSeconds(lives.find() ? Long.parseLong(lives.group(1)) - 60 : 0);
        return token;
    }

    private HttpResponse<byte[]> send(String method, String path, Map<String, String> headers, byte[] body) throws IOException, InterruptedException {
        HttpRequest.BodyPublisher content = body == null ? HttpRequest.BodyPublishers.noBody() : HttpRequest.BodyPublishers.ofByteArray(body);
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(gateway + path)).method(method, content).timeout(Duration.ofSeconds(30));
        headers.forEach(request::header);
        return http.send(request.build(), HttpResponse.BodyHandlers.ofByteArray());
    }

    private byte[] sign(String text) throws GeneralSecurityException {
        Signature signature = Signature.getInstance("SHA256withECDSAinP1363Format");
        signature.initSign(key);
        signature.update(text.getBytes(StandardCharsets.US_ASCII));
        return signature.sign();
    }

    private static String digest(byte[] body) throws GeneralSecurityException {
        return "sha-256=:" + Base64.getEncoder().encodeToString(MessageDigest.getInstance("SHA-256").digest(body)) + ":";
    }

    private static String header(HttpResponse<byte[]> answer, String name, String otherwise) {
        List<String> all = answer.headers().allValues(name);
        return all.isEmpty() ? otherwise : String.join(", ", all);
    }

    /** A text of a small JSON document; take a library where you have one. */
    private static String value(String json, String name) throws IOException {
        Matcher found = Pattern.compile('"' + name + "\"\\s*:\\s*\"([^\"\\\\]*)\"").matcher(json);
        if (!found.find()) throw new IOException("no " + name);
        return found.group(1);
    }

    private static PrivateKey privateKey(Path file) throws IOException, GeneralSecurityException {
        StringBuilder text = new StringBuilder();
        for (String line : Files.readAllLines(file)) if (!line.startsWith("-----")) text.append(line.trim());
        return KeyFactory.getInstance("EC").generatePrivate(new PKCS8EncodedKeySpec(Base64.getDecoder().decode(text.toString())));
    }

    private static List<Certificate> certificates(Path file) throws IOException, GeneralSecurityException {
        return new ArrayList<>(CertificateFactory.getInstance("X.509").generateCertificates(new ByteArrayInputStream(Files.readAllBytes(file))));
    }

    /** Our client certificate, and the exchange's authorities alone. */
    private static SSLContext tls(Path folder) throws IOException, GeneralSecurityException {
        KeyStore own = KeyStore.getInstance("PKCS12"), trusted = KeyStore.getInstance("PKCS12");
        own.load(null, null);
        trusted.load(null, null);
        own.setKeyEntry("tls", privateKey(folder.resolve("tls.key")), new char[0], certificates(folder.resolve("tls.crt")).toArray(new Certificate[0]));
        for (Certificate each : certificates(folder.resolve("ca.crt"))) trusted.setCertificateEntry("ca" + trusted.size(), each);
        KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        keys.init(own, new char[0]);
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(trusted);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keys.getKeyManagers(), trust.getTrustManagers(), null);
        return context;
    }

    public static void main(String[] given) {
        if (given.length < 3) {
            System.err.println("usage: java Lgsp.java IDENTITY GET|POST PATH [FILE [MESSAGE-ID]]");
            System.exit(2);
        }
        // These come in parts, and only their head is signed: there is no digest of the whole.
        boolean export = given[2].matches("/feeds/[^?]*/export([?].*)?");
        if (given[1].equals("GET") && (export || given[2].matches("/feeds/[^?]*[?](.*&)?form=events(&.*)?"))) {
            System.err.println("not for this sample, nothing was sent: use lgsp client " + (export ? "feed-export CONTRACT FILE" : "feed CONTRACT --follow"));
            System.exit(2);
        }
        try {
            byte[] body = given.length > 3 ? Files.readAllBytes(Path.of(given[3])) : null;
            String messageId = !given[1].equals("POST") ? null : given.length > 4 ? given[4] : UUID.randomUUID().toString();
            Answer answer = new Lgsp(Path.of(given[0])).call(given[1], given[2], body, messageId);
            System.err.println(answer.status + "  transfer " + header(answer.response, "lgsp-transfer", "-") + (answer.proven ? "" : "  (not signed)"));
            System.out.write(answer.response.body(), 0, answer.response.body().length);
            System.out.flush();
            System.exit(answer.status < 300 ? 0 : 1);
        } catch (Exception trouble) {
            System.err.println(trouble.getClass().getSimpleName() + ": " + trouble.getMessage());
            System.exit(2);
        }
    }
}
