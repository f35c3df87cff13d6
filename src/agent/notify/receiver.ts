import { createHash } from "node:crypto"
import type { NotifySetting } from "../../core/manifest/agent-settings.js"
import type { Notification } from "../../core/records/incident.js"
import { runHook } from "./exec.js"
import { postWebhook } from "./webhook.js"

/** A notification, or a test of one. */
export type Message = Omit<Notification, "kind" | "status"> & { readonly kind: string; readonly status: string }

/** What goes to a webhook, and to a command's standard input. */
export function bodyOf(notification: Message, owner: string): string {
  const {
    id,
    notification: messageId,
    kind,
    status,
    reason,
    name,
    target,
    message,
    hint,
    since,
    at,
    recovered,
    more,
  } = notification
  return JSON.stringify({
    schemaVersion: 1,
    id: messageId,
    incident: id,
    owner,
    kind: recovered ? "recovered" : kind,
    status: recovered ? "ok" : status,
    reason,
    name,
    target,
    message: recovered ? `over: ${message}` : message,
    hint: recovered ? null : hint,
    since,
    at,
    more,
  })
}

/** Which receiver it is, whatever its place in the list: hex, of what the configuration says of it. */
export function receiverId(setting: NotifySetting): string {
  return createHash("sha256").update(JSON.stringify(setting)).digest("hex").slice(0, 16)
}

/** Where it goes, for people: nothing of a URL that may be a secret but its host. */
export function receiverText(setting: NotifySetting): string {
  return setting.kind === "exec" ? "the command of exec" : `webhook ${new URL(setting.url).host}`
}

/** Tells one receiver. @throws an Error that says why it was not told */
export async function tellReceiver(
  setting: NotifySetting,
  body: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  if (setting.kind === "exec") await runHook(setting.command, body, env)
  else await postWebhook(setting, body, env)
}
