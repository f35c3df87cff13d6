import { execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** Runs `openssl` in a folder of its own, where `in` files were written before; returns standard output. */
export interface OpenSsl extends Disposable {
  readonly folder: string
  run: (...args: string[]) => Buffer
  write: (name: string, bytes: Uint8Array) => string
  read: (name: string) => Buffer
}

/** A throw-away folder for work with the OpenSSL command line. */
export function openssl(): OpenSsl {
  const folder = mkdtempSync(join(tmpdir(), "keyferry-openssl-"))
  return {
    folder,
    run: (...args) => execFileSync("openssl", args, { cwd: folder, stdio: ["ignore", "pipe", "pipe"] }),
    write(name, bytes) {
      writeFileSync(join(folder, name), bytes)
      return name
    },
    read: (name) => readFileSync(join(folder, name)),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  }
}

export type OaepHash = "sha1" | "sha256"

/** RSA-OAEP under a public key (SPKI, DER) by `openssl pkeyutl`. */
export function wrapOaep(publicKey: Uint8Array, material: Uint8Array, hash: OaepHash, mgf1: OaepHash = hash): Buffer {
  using tool = openssl()
  tool.write("public.der", publicKey)
  tool.write("material.bin", material)
  const options = ["rsa_padding_mode:oaep", `rsa_oaep_md:${hash}`, `rsa_mgf1_md:${mgf1}`]
  const flags = options.flatMap((option) => ["-pkeyopt", option])
  return tool.run(
    "pkeyutl",
    "-encrypt",
    "-pubin",
    "-keyform",
    "DER",
    "-inkey",
    "public.der",
    "-in",
    "material.bin",
    ...flags,
  )
}

/** AES key wrap by `openssl enc`: RFC 5649 (KWP), or RFC 3394 (KW) where a test wants the wrong one. */
export function wrapAes(aesKey: Uint8Array, material: Uint8Array, form: "kwp" | "kw" = "kwp"): Buffer {
  using tool = openssl()
  tool.write("material.bin", material)
  const cipher = { kwp: ["-id-aes256-wrap-pad", "-iv", "A65959A6"], kw: ["-id-aes256-wrap", "-iv", "A6A6A6A6A6A6A6A6"] }
  return tool.run("enc", ...cipher[form], "-K", Buffer.from(aesKey).toString("hex"), "-in", "material.bin")
}
