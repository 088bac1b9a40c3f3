/**
 * Whether everybody says the same of what is bound: the sessions that asked for it, the operator's
 * list, the emulator's own tables, and the ledger read from the disk after the daemon has stopped.
 */

import { rowsOf, type Allocation, type OperatorClient } from '../src/client/index.js'
import type { Observed } from '../src/backend/backend.js'
import type { Table } from '../src/core/binding.js'
import { openSqliteLedger } from '../src/ledger/sqlite/sqlite-ledger.js'

/** Bindings as text, one a line, sorted: equal when they are the same. */
export type Bindings = readonly string[]

export interface View {
  readonly who: string
  readonly bindings: Bindings
}

function line(device: string, pasid: number, table: string): string {
  return `${device} PASID ${pasid} -> ${table}`
}

function firstStage(address: number | string, width: number): string {
  return `first stage at 0x${Number(address).toString(16)}, ${width} bits`
}

function tableText(table: Table): string {
  if (table.kind === 'PASS_THROUGH') return 'pass-through'
  return firstStage(table.address, table.width)
}

/** What the guests asked for and were told is in force. */
export function expected(
  device: string,
  tables: Iterable<readonly [pasid: number, address: number]>,
): View {
  const bindings = [...tables].map(([pasid, at]) => line(device, pasid, firstStage(at, 48)))
  return { who: 'guests', bindings: bindings.sort() }
}

export async function listed(operator: OperatorClient): Promise<{
  readonly view: View
  readonly allocations: readonly Allocation[]
}> {
  const allocations: Allocation[] = []
  for await (const allocation of rowsOf(operator.allocations())) allocations.push(allocation)
  const bindings = allocations.flatMap((allocation) =>
    allocation.bindings.map(({ device, firstStage: table, state }) => {
      const name = device.replace('devices/', '')
      const text = table ? firstStage(table.address, table.addressWidth) : 'pass-through'
      const lost = state === 'BINDING_STATE_BOUND' ? '' : ` (${state})`
      return line(name, allocation.pasid, `${text}${lost}`)
    }),
  )
  return { view: { who: "operator's list", bindings: bindings.sort() }, allocations }
}

export function observed(answer: Observed): View {
  if (answer.kind === 'UNKNOWN') return { who: 'emulator', bindings: [`unknown: ${answer.reason}`] }
  const bindings = answer.places.map(({ device, target, table }) => {
    return line(device, target, tableText(table))
  })
  return { who: 'emulator', bindings: bindings.sort() }
}

/** Opens the ledger that a stopped daemon has left. */
export async function recorded(directory: string, bootId: string): Promise<View> {
  const ledger = await openSqliteLedger({ directory, bootId, onCorrupt: 'refuse' })
  try {
    const image = await ledger.load()
    const names = new Map(image.devices.map(({ id, name }) => [id, name]))
    const bindings = image.bindings.map(({ device, target, table, state }) => {
      const lost = state === 'BOUND' ? '' : ` (${state})`
      return line(names.get(device) ?? `device ${device}`, target, `${tableText(table)}${lost}`)
    })
    return { who: 'ledger on disk', bindings: bindings.sort() }
  } finally {
    await ledger.close()
  }
}

/** What one view has and the first has not, and the other way round; none when all agree. */
export function disagreements(first: View, others: readonly View[]): string[] {
  const problems: string[] = []
  for (const other of others) {
    const theirs = new Set(other.bindings)
    const ours = new Set(first.bindings)
    for (const one of first.bindings) {
      if (!theirs.has(one)) problems.push(`${first.who} only, not ${other.who}: ${one}`)
    }
    for (const one of other.bindings) {
      if (!ours.has(one)) problems.push(`${other.who} only, not ${first.who}: ${one}`)
    }
  }
  return problems
}
