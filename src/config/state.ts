import { isAbsolute } from "node:path"
import * as z from "zod"
import type { PostgresSettings } from "../core/manifest/state-settings.js"
import type { Fault } from "./fault.js"

/** Where the state is kept, where that is not the state directory. */

const path = (description: string) =>
  z.string().refine(isAbsolute, { error: "must be an absolute path" }).meta({ description, pattern: "^/" })

export const stateShape = z
  .strictObject({
    postgres: z
      .strictObject({
        url: z
          .string()
          .regex(/^postgres(ql)?:\/\//, {
            error: "is no URL of a PostgreSQL database: postgres://USER@HOST:PORT/DATABASE",
          })
          .meta({
            description:
              "database: postgres://USER@HOST:PORT/DATABASE, or with ?host=/FOLDER for a socket; never with a password in it; KEYFERRY_STATE_URL is the same for who has neither password nor tls to say",
          }),
        passwordFile: path("file with the database's password in its first line").optional(),
        tls: z
          .strictObject({
            caFile: path(
              "certificates (PEM) of the authorities that the server's is held against; default: Node.js' own",
            ).optional(),
            certFile: path("certificate (PEM) that keyferry shows the server").optional(),
            keyFile: path("private key (PEM) of that certificate").optional(),
          })
          .optional()
          .meta({
            description: "TLS to the server, whose name is verified always; needed for a host that is not this one",
          }),
      })
      .optional()
      .meta({ description: "PostgreSQL 14 or later, in place of a state directory: for more than one machine" }),
  })
  .meta({ description: "where the state is kept; default: the state directory" })

type FileState = z.infer<typeof stateShape>

export function resolveState(state: FileState | undefined): PostgresSettings | null {
  return state?.postgres ?? null
}

export function stateFaults(state: FileState): readonly Fault[] {
  const { url = "", tls } = state.postgres ?? {}
  const path = ["state", "postgres"]
  return [
    ...(hasPassword(url)
      ? [{ path: [...path, "url"], message: "holds a password, which others see: give passwordFile" }]
      : []),
    ...((tls?.certFile === undefined) === (tls?.keyFile === undefined)
      ? []
      : [{ path: [...path, "tls"], message: "certFile and keyFile go together" }]),
  ]
}

/** In `user:password@`, or as a parameter. */
function hasPassword(url: string): boolean {
  return /^[a-z]+:\/\/[^/@?#]*:[^/@?#]+@/.test(url) || /[?&]password=/.test(url)
}
