import { setTimeout as sleep } from "node:timers/promises"
import { openJobs } from "#src/jobs/jobs.js"
import { openDatabase } from "#src/store/postgres/database.js"

/*
 * An agent that works on the jobs of a token, or plans, in a process of its own: node jobs-process.js URL MODE.
 * Each thing that it begins or ends is a line of standard output.
 *
 *   works    does each job at once
 *   hangs    holds each job until the process is killed
 *   plans    plans by a schedule of every minute, once at the start, and holds each run for two seconds
 */
const [, , url = "", mode = ""] = process.argv

await using database = openDatabase({ url }, "keyferry test")
const jobs = await openJobs(database, () => undefined)
const say = (words: string): void => void process.stdout.write(`${words}\n`)

if (mode === "plans") {
  await jobs.planOn({ cron: "* * * * *", timeZone: "UTC" }, async () => {
    say(`plan begins ${Date.now()}`)
    await sleep(2000)
    say(`plan ends ${Date.now()}`)
  })
  await jobs.planNow()
} else {
  await jobs.workOn("t1", { width: 1 }, async ({ name }) => {
    say(`begins ${name}`)
    if (mode === "hangs") await sleep(3_600_000)
    say(`ends ${name}`)
    return null
  })
}
say("ready")
process.once("SIGTERM", () => void jobs.stop(5000).then(() => process.exit(0)))
