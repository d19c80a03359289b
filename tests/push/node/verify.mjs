// Verifies a webhook by Node's own cryptography, from the text of Standard Webhooks 1.1 alone: its own libraries
// for JavaScript (1.1.1) and Python (1.1.0) only know the symmetric form.
import { createPublicKey, verify } from "node:crypto";
import { readFileSync } from "node:fs";

const { headers, body, key } = JSON.parse(readFileSync(0, "utf8"));
const raw = Buffer.from(key.replace(/^whpk_/, ""), "base64");
const der = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), raw]);
const publicKey = createPublicKey({ key: der, format: "der", type: "spki" });
const content = Buffer.from(`${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`, "utf8");
const held = headers["webhook-signature"]
  .split(" ")
  .filter((each) => each.startsWith("v1a,"))
  .some((each) => verify(null, content, publicKey, Buffer.from(each.slice(4), "base64")));
process.stdout.write(JSON.stringify(held));
