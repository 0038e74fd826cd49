// Uploads a file: node upload.mjs URL FILE KIND [NAME VALUE], KIND is fetch or http.
// Prints the answer's status and the code of its error.
import { readFileSync } from "node:fs";
import { request } from "node:http";

const [url, file, kind, ...header] = process.argv.slice(2);
const body = readFileSync(file);
const headers = { "content-type": "application/json", "content-length": String(body.length) };
if (header.length) headers[header[0]] = header[1];

function withHttp() {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: "POST", headers }, (answer) => {
      let text = "";
      answer.on("data", (piece) => (text += piece));
      answer.on("end", () => resolve([answer.statusCode, JSON.parse(text)]));
      answer.on("error", reject);
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

async function withFetch() {
  const answer = await fetch(url, { method: "POST", body, headers });
  return [answer.status, await answer.json()];
}

const [status, answer] = await (kind === "http" ? withHttp() : withFetch());
console.log(status, answer.error.code);
process.exit(0);
