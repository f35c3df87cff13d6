import { EVERYTHING } from "./filter.js"
import { anchorOf, fleetPage } from "./fleet-page.js"
import type { FleetReport } from "./fleet-report.js"
import { filePage } from "./page.js"

/** The fleet's page as one file, which loads nothing from anywhere. */
export async function fleetFile(report: FleetReport): Promise<string> {
  const body = fleetPage({ report, filter: EVERYTHING, href: (row) => `#${anchorOf(row)}`, base: "" })
  return (await filePage(`keyferry ${report.owner}`, body)).toString()
}
