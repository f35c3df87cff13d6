import { expect } from "chai"
import {
  afterRound,
  type Incident,
  type Incidents,
  MOST_AN_HOUR,
  NO_INCIDENTS,
  type Trouble,
} from "#src/core/records/incident.js"

const START = Date.parse("2026-11-28T12:00:00Z")
const minutes = (count: number): Date => new Date(START + count * 60_000)
const dead = (name: string, more: Partial<Trouble> = {}): Trouble => ({
  ...{
    kind: "dead",
    status: "critical",
    reason: "EXPIRED",
    name,
    target: "eu",
    message: `${name} is dead`,
    hint: null,
  },
  ...more,
})

interface Round {
  readonly at: Date
  readonly isOver?: (incident: Incident) => boolean
}

/** A round, and what it has newly to tell: `dead payments`, `over dead payments`. */
function round(before: Incidents, seen: readonly Trouble[], { at, isOver = () => true }: Round) {
  const after = afterRound(before, seen, { at, isOver })
  const news = after.pending.slice(before.pending.length).map(({ notification }) => {
    const { recovered, kind, name, status, more } = notification
    return `${recovered ? "over " : ""}${kind} ${name ?? ""} ${status}${more > 0 ? ` and ${more} more` : ""}`
  })
  return { after, news }
}

describe("incidents", () => {
  it("are told once, however often they are seen, and once that they are over", () => {
    const first = round(NO_INCIDENTS, [dead("a"), dead("a")], { at: minutes(0) })
    expect(first.news).to.deep.equal(["dead a critical"])
    const second = round(first.after, [dead("a", { message: "a is dead, a day later" })], { at: minutes(1440) })
    expect(second.news).to.deep.equal([])
    const [incident] = second.after.open
    expect(incident).to.include({ since: "2026-11-28T12:00:00Z", message: "a is dead, a day later" })
    const third = round(second.after, [], { at: minutes(2000) })
    expect([third.news, third.after.open]).to.deep.equal([["over dead a critical"], []])
    expect(round(third.after, [], { at: minutes(2001) }).news).to.deep.equal([])
    const again = round(third.after, [dead("a")], { at: minutes(3000) })
    expect(again.news).to.deep.equal(["dead a critical"])
    expect(again.after.open[0]?.id).not.to.equal(incident?.id)
  })

  it("are told again when they change: another status, another reason", () => {
    const warned = round(NO_INCIDENTS, [dead("a", { kind: "dying", reason: "EXPIRES_SOON", status: "warning" })], {
      at: minutes(0),
    })
    const worse = round(warned.after, [dead("a", { kind: "dying", reason: "EXPIRES_SOON" })], { at: minutes(1) })
    expect(worse.news).to.deep.equal(["dying a critical"])
    const died = round(worse.after, [dead("a")], { at: minutes(2) })
    expect(died.news).to.deep.equal(["dead a critical", "over dying a critical"])
  })

  it("tell keys, targets and troubles apart", () => {
    const seen = [dead("a"), dead("b"), dead("a", { target: "us" }), dead("a", { kind: "clock", reason: "CLOCK_SKEW" })]
    const { after } = round(NO_INCIDENTS, seen, { at: minutes(0) })
    expect(new Set(after.pending.map(({ notification }) => notification.notification)).size).to.equal(4)
  })

  it("stay open where it could not be seen whether they are over", () => {
    const { after } = round(NO_INCIDENTS, [dead("a"), dead("b")], { at: minutes(0) })
    const { after: later, news } = round(after, [], { at: minutes(1), isOver: ({ name }) => name === "b" })
    expect([news, later.open.map(({ name }) => name)]).to.deep.equal([["over dead b critical"], ["a"]])
  })

  it("come so many in an hour and no more: then one says how many more there are", () => {
    const many = Array.from({ length: 300 }, (_, index) => dead(`k${index}`))
    const { after, news } = round(NO_INCIDENTS, many, { at: minutes(0) })
    expect(news).to.have.lengthOf(MOST_AN_HOUR)
    expect(news.at(-1)).to.equal("dead k19 critical and 280 more")
    expect(after.open, "all are known").to.have.lengthOf(300)
    const within = round(after, [...many, dead("late")], { at: minutes(59) })
    expect(within.news).to.deep.equal([])
    const next = round(within.after, [...many.slice(1), dead("late"), dead("later")], { at: minutes(61) })
    expect(next.news, "nothing is lost").to.deep.equal([
      "dead late critical",
      "dead later critical",
      "over dead k0 critical",
    ])
  })

  it("are told in the order of their weight, so that what is counted alone can wait", () => {
    const failing = Array.from({ length: 300 }, (_, index) =>
      dead(`f${index}`, { kind: "failure", status: "warning", reason: "ERR_KMS_OTHER" }),
    )
    const { after } = round(NO_INCIDENTS, [dead("once")], { at: minutes(-120) })
    const { news } = round(after, [...failing, dead("a", { kind: "dying" }), dead("b")], { at: minutes(0) })
    expect(news.slice(0, 3)).to.deep.equal(["dead b critical", "dying a critical", "failure f0 warning"])
    expect(news.at(-1)).to.equal("failure f17 warning and 283 more")
  })

  it("fill an hour to the last one without hiding any", () => {
    const many = Array.from({ length: MOST_AN_HOUR }, (_, index) => dead(`k${index}`))
    expect(round(NO_INCIDENTS, many, { at: minutes(0) }).news.join()).not.to.include("more")
  })

  it("are counted by a clock that was set back as well", () => {
    const many = Array.from({ length: MOST_AN_HOUR }, (_, index) => dead(`k${index}`))
    const { after } = round(NO_INCIDENTS, many, { at: minutes(600) })
    expect(round(after, [...many, dead("early")], { at: minutes(0) }).news).to.deep.equal(["dead early critical"])
  })
})
