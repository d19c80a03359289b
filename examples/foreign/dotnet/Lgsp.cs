// One signed call to the gateway, and its answer verified: .NET 8 or newer, nothing but what .NET brings. Rules: docs/wire.md, REST.
//
//   dotnet run -- IDENTITY GET  '/indicator/v1/values?indicator=KT-05&area=04&period=2026-Q3'
//   dotnet run -- IDENTITY POST /field-report/v1/requests report.json [MESSAGE-ID]
//
// Prints the answer. Exit code 0: answered; 1: refused; 2: no answer, or one that does not prove itself.
// Keys on P-256 (as issued by the gateway's own authority). Copy the class Lgsp.

using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

if (args.Length < 3)
{
    Console.Error.WriteLine("usage: lgsp IDENTITY GET|POST PATH [FILE [MESSAGE-ID]]");
    return 2;
}
// These come in parts, and only their head is signed: there is no digest of the whole.
var export = Regex.IsMatch(args[2], @"^/feeds/[^?]*/export(\?|$)");
if (args[1] == "GET" && (export || Regex.IsMatch(args[2], @"^/feeds/[^?]*\?(.*&)?form=events(&|$)")))
{
    Console.Error.WriteLine($"not for this sample, nothing was sent: use lgsp client {(export ? "feed-export CONTRACT FILE" : "feed CONTRACT --follow")}");
    return 2;
}
try
{
    using var lgsp = new Lgsp(args[0]);
    byte[]? body = args.Length > 3 ? File.ReadAllBytes(args[3]) : null;
    string? messageId = args[1] != "POST" ? null : args.Length > 4 ? args[4] : Guid.NewGuid().ToString();
    var answer = await lgsp.Call(args[1], args[2], body, messageId);
    Console.Error.WriteLine($"{answer.Status}  transfer {answer.Headers.GetValueOrDefault("lgsp-transfer", "-")}{(answer.Proven ? "" : "  (not signed)")}");
    using var output = Console.OpenStandardOutput();
    output.Write(answer.Body);
    return answer.Status < 300 ? 0 : 1;
}
catch (Exception trouble)
{
    Console.Error.WriteLine($"{trouble.GetType().Name}: {trouble.Message}");
    return 2;
}

public sealed class NotProven(string why) : Exception(why);

/// <summary>What the gateway said. Proven is false only for a refusal that it did not sign, as it does for a caller who proved nothing.</summary>
public sealed record Answer(int Status, Dictionary<string, string> Headers, byte[] Body, bool Proven);

public sealed class Lgsp : IDisposable
{
    private const string Bound = "\"signature\";req;key=\"sig1\"";
    private readonly string system, keyId, gateway, gatewayKeyId;
    private readonly ECDsa key = ECDsa.Create();
    private readonly ECDsa gatewayKey;
    private readonly HttpClient http;
    private string token = "";
    private DateTimeOffset tokenUntil = DateTimeOffset.MinValue;

    public Lgsp(string folder)
    {
        string In(string name) => Path.Combine(folder, name);
        using var about = JsonDocument.Parse(File.ReadAllBytes(In("system.json")));
        string Text(string name) => about.RootElement.GetProperty(name).GetString()!;
        system = Text("system");
        keyId = Text("sign_key_id");
        gateway = Text("gateway").TrimEnd('/');
        gatewayKeyId = Text("gateway_key_id");
        key.ImportFromPem(File.ReadAllText(In("sign.key")));
        using var pinned = X509Certificate2.CreateFromPem(File.ReadAllText(In("gateway-sign.crt")));
        gatewayKey = pinned.GetECDsaPublicKey()!;
        http = new HttpClient(Tls(In("tls.crt"), In("tls.key"), In("ca.crt"))) { Timeout = TimeSpan.FromSeconds(30) };
    }

    /// <summary>Ask or hand in. For what is handed in, keep messageId and give it again to repeat the message: it is never handled twice.</summary>
    public async Task<Answer> Call(string method, string path, byte[]? body = null, string? messageId = null)
    {
        var headers = new List<(string Name, string Value)> { ("authorization", "Bearer " + await AccessToken()) };
        if (body != null)
        {
            headers.Add(("content-type", "application/json"));
            headers.Add(("content-digest", Digest(body)));
        }
        if (messageId != null) headers.Add(("idempotency-key", $"\"{messageId}\""));
        var signed = new List<(string Name, string Value)> { ("@method", method), ("@target-uri", gateway + path) };
        signed.AddRange(headers);
        long now = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        string nonce = Url64(RandomNumberGenerator.GetBytes(18));
        string list = string.Join(' ', signed.Select(each => $"\"{each.Name}\""));
        string parameters = $"({list});created={now};expires={now + 60};nonce=\"{nonce}\";keyid=\"{keyId}\";tag=\"lgsp-request\"";
        string lines = string.Concat(signed.Select(each => $"\"{each.Name}\": {each.Value}\n")) + $"\"@signature-params\": {parameters}";
        string signature = $":{Convert.ToBase64String(Sign(lines))}:";
        headers.Add(("signature-input", "sig1=" + parameters));
        headers.Add(("signature", "sig1=" + signature));
        headers.Add(("accept", "application/json"));
        headers.Add(("accept-language", "vi"));
        return Verified(await Send(method, path, headers, body), signature);
    }

    // Believe an answer only if the gateway signed it, whole, and for this very request.
    private Answer Verified(Answer answer, string requestSignature)
    {
        var input = Regex.Match(answer.Headers.GetValueOrDefault("signature-input", ""), @"^sig1=(\(([^)]*)\)(.*))$");
        if (!input.Success) return answer.Status >= 400 ? answer : throw new NotProven("not signed");
        string[] covered = input.Groups[2].Value.Split(' ');
        var there = new[] { "content-type", "lgsp-transfer", "lgsp-receipt", "lgsp-checkpoint" }.Where(answer.Headers.ContainsKey).Select(name => $"\"{name}\"");
        foreach (string name in new[] { "\"@status\"", "\"content-digest\"", Bound }.Concat(there))
            if (!covered.Contains(name)) throw new NotProven($"{name} is not signed");
        var lines = new StringBuilder();
        foreach (string name in covered)
        {
            string? value = name == "\"@status\"" ? answer.Status.ToString()
                : name == Bound ? requestSignature
                : answer.Headers.GetValueOrDefault(name.Trim('"'));
            lines.Append(name).Append(": ").Append(value ?? throw new NotProven($"{name} is missing")).Append('\n');
        }
        string rest = input.Groups[3].Value;
        var created = Regex.Match(rest, ";created=([0-9]{1,12})");
        if (!created.Success || Math.Abs(DateTimeOffset.UtcNow.ToUnixTimeSeconds() - long.Parse(created.Groups[1].Value)) > 65)
            throw new NotProven("too old, or from the future: check the clock");
        if (!rest.Contains(";tag=\"lgsp-answer\"")) throw new NotProven("its signature is for something else");
        if (!rest.Contains($";keyid=\"{gatewayKeyId}\"")) throw new NotProven("signed by a key that is not pinned; see GET /keys");
        lines.Append("\"@signature-params\": ").Append(input.Groups[1].Value);
        var value64 = Regex.Match(answer.Headers.GetValueOrDefault("signature", ""), "^sig1=:([A-Za-z0-9+/=]{88}):$");
        if (!value64.Success || !gatewayKey.VerifyData(Encoding.ASCII.GetBytes(lines.ToString()), Convert.FromBase64String(value64.Groups[1].Value),
                HashAlgorithmName.SHA256, DSASignatureFormat.IeeeP1363FixedFieldConcatenation))
            throw new NotProven("the signature does not hold");
        if (answer.Headers.GetValueOrDefault("content-digest") != Digest(answer.Body)) throw new NotProven("the body is another");
        return answer with { Proven = true };
    }

    // RFC 7523: an assertion signed with our key buys a token that is bound to our client certificate.
    private async Task<string> AccessToken()
    {
        var now = DateTimeOffset.UtcNow;
        if (now < tokenUntil) return token;
        long at = now.ToUnixTimeSeconds();
        string head = Url64(JsonSerializer.SerializeToUtf8Bytes(new { alg = "ES256", typ = "JWT", kid = keyId }));
        string claims = Url64(JsonSerializer.SerializeToUtf8Bytes(
            new { iss = system, sub = system, aud = gateway + "/oauth/token", iat = at, exp = at + 60, jti = Guid.NewGuid().ToString() }));
        string form = "grant_type=client_credentials"
            + "&client_assertion_type=" + Uri.EscapeDataString("urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
            + $"&client_assertion={head}.{claims}.{Url64(Sign($"{head}.{claims}"))}";
        var headers = new List<(string, string)> { ("content-type", "application/x-www-form-urlencoded") };
        var answer = await Send("POST", "/oauth/token", headers, Encoding.ASCII.GetBytes(form));
        if (answer.Status != 200) throw new IOException("no token: " + Encoding.UTF8.GetString(answer.Body));
        using var content = JsonDocument.Parse(answer.Body);
        token = content.RootElement.GetProperty("access_token").GetString()!;
        tokenUntil = now.AddSeconds(content.RootElement.GetProperty("expires_in").GetInt32() - 60);
        return token;
    }

    private async Task<Answer> Send(string method, string path, IEnumerable<(string Name, string Value)> headers, byte[]? body)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), gateway + path);
        if (body != null) request.Content = new ByteArrayContent(body);
        foreach (var (name, value) in headers)
            if (!request.Headers.TryAddWithoutValidation(name, value)) request.Content!.Headers.TryAddWithoutValidation(name, value);
        using var answer = await http.SendAsync(request);
        var told = answer.Headers.NonValidated.Concat(answer.Content.Headers.NonValidated);
        var all = told.ToDictionary(each => each.Key.ToLowerInvariant(), each => string.Join(", ", (IEnumerable<string>)each.Value));
        return new Answer((int)answer.StatusCode, all, await answer.Content.ReadAsByteArrayAsync(), false);
    }

    // Our client certificate with its issuers, and the exchange's authorities alone.
    private static SocketsHttpHandler Tls(string certificate, string privateKey, string authorities)
    {
        using var fromPem = X509Certificate2.CreateFromPemFile(certificate, privateKey);
        // Windows wants the key in a container of its own before it uses it for TLS.
        var own = new X509Certificate2(fromPem.Export(X509ContentType.Pkcs12));
        var issuers = new X509Certificate2Collection();
        issuers.ImportFromPemFile(certificate);
        issuers.RemoveAt(0);
        var trust = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        trust.CustomTrustStore.ImportFromPemFile(authorities);
        return new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseCookies = false,
            SslOptions = new SslClientAuthenticationOptions
            {
                ClientCertificateContext = SslStreamCertificateContext.Create(own, issuers, offline: true),
                CertificateChainPolicy = trust,
            },
        };
    }

    private byte[] Sign(string text) =>
        key.SignData(Encoding.ASCII.GetBytes(text), HashAlgorithmName.SHA256, DSASignatureFormat.IeeeP1363FixedFieldConcatenation);

    private static string Digest(byte[] body) => $"sha-256=:{Convert.ToBase64String(SHA256.HashData(body))}:";

    private static string Url64(byte[] data) => Convert.ToBase64String(data).TrimEnd('=').Replace('+', '-').Replace('/', '_');

    public void Dispose()
    {
        http.Dispose();
        key.Dispose();
        gatewayKey.Dispose();
    }
}
