import { KmsError } from "./error.js"

const NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"

/** Answers an STS request of the Query protocol; the account is the only thing that it knows. Returns XML. */
export function callSts(form: URLSearchParams, account: string, requestId: string): string {
  const action = form.get("Action")
  if (action !== "GetCallerIdentity") {
    throw new KmsError("InvalidAction", `Could not find operation ${action ?? "(none)"}`)
  }
  const arn = `arn:aws:iam::${account}:user/local-kms`
  return [
    `<GetCallerIdentityResponse xmlns="${NAMESPACE}"><GetCallerIdentityResult>`,
    `<Arn>${arn}</Arn><UserId>AIDALOCALKMSKEYFERRY</UserId><Account>${account}</Account>`,
    `</GetCallerIdentityResult><ResponseMetadata><RequestId>${requestId}</RequestId></ResponseMetadata>`,
    `</GetCallerIdentityResponse>`,
  ].join("")
}

const escape = (text: string) => text.replace(/[<>&]/g, (character) => `&#${character.charCodeAt(0)};`)

export function stsError({ name, message }: KmsError, requestId: string): string {
  const code = name.replace(/Exception$/, "")
  return [
    `<ErrorResponse xmlns="${NAMESPACE}"><Error><Type>Sender</Type><Code>${escape(code)}</Code>`,
    `<Message>${escape(message)}</Message></Error><RequestId>${requestId}</RequestId></ErrorResponse>`,
  ].join("")
}
