import { promisify } from "node:util"
import { gzip } from "node:zlib"
import type { Context } from "hono"
import type { Markup } from "../report/markup.js"

/** A page as it is sent, prepared once for all who ask for it until it changes. */
export interface PreparedPage {
  readonly plain: Uint8Array<ArrayBuffer>
  /** By gzip, a tenth to a twentieth of it. */
  readonly zipped: Uint8Array<ArrayBuffer>
}

const zip = promisify(gzip)

export async function preparedPage(page: Markup): Promise<PreparedPage> {
  const plain = new TextEncoder().encode(String(await page))
  return { plain, zipped: new Uint8Array(await zip(plain)) }
}

/** Zipped for whoever takes that. */
export function sendPage(context: Context, { plain, zipped }: PreparedPage): Response {
  context.header("Content-Type", "text/html; charset=utf-8")
  context.header("Vary", "Accept-Encoding")
  if (!/\bgzip\b(?!\s*;\s*q=0(?:\.0+)?\s*(?:,|$))/i.test(context.req.header("accept-encoding") ?? "")) {
    return context.body(plain)
  }
  context.header("Content-Encoding", "gzip")
  return context.body(zipped)
}
