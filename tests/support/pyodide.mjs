// Runs Python in WebAssembly: node pyodide.mjs PATH-OF-PYODIDE SCRIPT WHEEL... The script finds a server's URL as `URL`.
import { readFileSync } from "node:fs";
import http from "node:http";
import zlib from "node:zlib";

const [where, script, ...wheels] = process.argv.slice(2);
const { loadPyodide } = await import(where);

const server = http.createServer((request, response) => {
  const pieces = [];
  request.on("data", (piece) => pieces.push(piece));
  request.on("end", () => {
    if (request.url === "/hang") return;
    if (request.url === "/cut") {
      response.writeHead(200, { "Content-Length": "100" });
      response.write("half");
      return setTimeout(() => request.socket.destroy(), 50);
    }
    if (request.url === "/moved") return response.writeHead(302, { Location: "/there" }).end();
    const told = JSON.stringify({
      method: request.method, url: request.url, fields: request.headers, body: Buffer.concat(pieces).toString(),
    });
    response.writeHead(request.url === "/missing" ? 404 : 200, { "Content-Type": "application/json",
      "Content-Encoding": "gzip", "X-Two": "a, b" });
    response.end(zlib.gzipSync(told));
  });
});
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));

const python = await loadPyodide();
python.FS.mkdirTree("/site");
for (const wheel of wheels) python.unpackArchive(new Uint8Array(readFileSync(wheel)), "wheel", { extractDir: "/site" });
python.globals.set("URL", `http://127.0.0.1:${server.address().port}`);
let failed = 0;
try {
  await python.runPythonAsync("import sys; sys.path.insert(0, '/site')\n" + readFileSync(script, "utf8"));
} catch (error) {
  console.error(String(error.message ?? error));
  failed = 1;
}
server.closeAllConnections();
process.exit(failed);
