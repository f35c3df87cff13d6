import { KeyferryError } from "../../core/base/error.js"
import type { Database } from "./database.js"

const PATH = "agent/owner"

/**
 * Keeps agents of another configuration from a database: queues and schedule are one for all that share it, and a job of
 * a key that they do not know would wait for ever.
 *
 * @param owner the manifest's `id`; that of the first agent holds
 * @throws ERR_CONFIG_INVALID, ERR_DATABASE_*
 */
export async function refuseOtherOwner(database: Database, owner: string): Promise<void> {
  await database.query("INSERT INTO keyferry.text (path, content) VALUES ($1, $2) ON CONFLICT (path) DO NOTHING", [
    PATH,
    Buffer.from(owner, "utf8"),
  ])
  const { rows } = await database.query<{ content: Buffer }>("SELECT content FROM keyferry.text WHERE path = $1", [
    PATH,
  ])
  const kept = rows[0]?.content.toString("utf8") ?? owner
  if (kept === owner) return
  throw new KeyferryError(
    "ERR_CONFIG_INVALID",
    `the agents of ${database.place} keep the keys of id ${kept}, and this configuration has id ${owner}`,
    { hint: "give each id a database of its own: the agents of one share their jobs and one schedule" },
  )
}
