// Passkeys: a form with data-passkey="create" or "get" has its options in data-options, as the server wrote them. What
// the authenticator answers goes into the form's field `credential`, and the form is sent as any other.
"use strict";

const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (each) => each.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
const named = (each) => ({ ...each, id: bytes(each.id) });

function read(options) {
  const asked = { ...options, challenge: bytes(options.challenge) };
  if (asked.user) asked.user = named(asked.user);
  for (const list of ["excludeCredentials", "allowCredentials"]) if (asked[list]) asked[list] = asked[list].map(named);
  return asked;
}

function written(credential) {
  const response = {};
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (credential.response[name]) response[name] = text(credential.response[name]);
  }
  return JSON.stringify({ id: credential.id, rawId: text(credential.rawId), type: credential.type, response });
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  const trouble = form.querySelector("[data-trouble]");
  if (!window.PublicKeyCredential) continue;
  form.querySelector("[data-without]")?.remove();
  form.querySelector("button").disabled = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (trouble) trouble.hidden = true;
    try {
      const publicKey = read(JSON.parse(form.dataset.options));
      const credential = await navigator.credentials[form.dataset.passkey]({ publicKey });
      form.elements.credential.value = written(credential);
      form.submit();
    } catch {
      if (trouble) trouble.hidden = false;
    }
  });
}
