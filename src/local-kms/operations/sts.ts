import { randomBytes } from "node:crypto"
import type { Caller } from "../access/caller.js"
import { KmsError } from "../protocol/error.js"

const NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
/** How long credentials of AssumeRole last by their word; nobody checks. */
const SESSION_MILLISECONDS = 3_600_000
const ROLE = /^arn:aws[a-z-]*:iam::(\d{12}):role\/(?:.+\/)?([\w+=,.@-]+)$/

interface StsRequest {
  readonly form: URLSearchParams
  readonly account: string
  readonly caller: Pick<Caller, "arn">
  readonly now: number
}

/** The part of STS that finding out who one is needs, in the Query protocol. Returns XML. */
export function callSts(request: StsRequest, requestId: string): string {
  const action = request.form.get("Action") ?? "(none)"
  const run = ACTIONS[action]
  if (run === undefined) throw new KmsError("InvalidAction", `Could not find operation ${action}`)
  return [
    `<${action}Response xmlns="${NAMESPACE}"><${action}Result>${run(request)}</${action}Result>`,
    `<ResponseMetadata><RequestId>${requestId}</RequestId></ResponseMetadata></${action}Response>`,
  ].join("")
}

const ACTIONS: Readonly<Record<string, (request: StsRequest) => string>> = {
  GetCallerIdentity({ account, caller: { arn } }) {
    return [
      `<Arn>${escape(arn)}</Arn>`,
      `<UserId>${arn.includes(":assumed-role/") ? "AROA" : "AIDA"}LOCALKMSKEYFERRY</UserId><Account>${account}</Account>`,
    ].join("")
  },

  AssumeRole({ form, account, now }) {
    const [, roleAccount, role] = ROLE.exec(form.get("RoleArn") ?? "") ?? []
    const session = form.get("RoleSessionName") ?? ""
    if (role === undefined || !/^[\w+=,.@-]{2,64}$/.test(session)) {
      throw new KmsError("ValidationError", "RoleArn and RoleSessionName must be of their form")
    }
    if (roleAccount !== account) throw new KmsError("AccessDenied", "not authorized to perform: sts:AssumeRole")
    const arn = `arn:aws:sts::${account}:assumed-role/${role}/${session}`
    return [
      `<Credentials><AccessKeyId>ASIA${randomBytes(8).toString("hex").toUpperCase()}</AccessKeyId>`,
      `<SecretAccessKey>${randomBytes(30).toString("base64")}</SecretAccessKey>`,
      `<SessionToken>${Buffer.from(arn).toString("base64url")}</SessionToken>`,
      `<Expiration>${new Date(now + SESSION_MILLISECONDS).toISOString()}</Expiration></Credentials>`,
      `<AssumedRoleUser><Arn>${escape(arn)}</Arn><AssumedRoleId>AROALOCALKMSKEYFERRY:${session}</AssumedRoleId></AssumedRoleUser>`,
    ].join("")
  },
}

const escape = (text: string) => text.replace(/[<>&]/g, (character) => `&#${character.charCodeAt(0)};`)

export function stsError({ name, message }: KmsError, requestId: string): string {
  const code = name.replace(/Exception$/, "")
  return [
    `<ErrorResponse xmlns="${NAMESPACE}"><Error><Type>Sender</Type><Code>${escape(code)}</Code>`,
    `<Message>${escape(message)}</Message></Error><RequestId>${requestId}</RequestId></ErrorResponse>`,
  ].join("")
}
