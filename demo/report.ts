/** What the demo prints: tables of counts, latencies, and what an operator would see. */

import Table from 'cli-table3'
import type { Allocation } from '../src/client/index.js'
import type { Descriptor, DescriptorKind } from './descriptors.js'
import { KINDS } from './plan.js'
import { OUTCOMES, type Tally } from './tally.js'

export interface Run {
  readonly name: string
  readonly tally: Tally
}

/** Beside the count of each type, as a reader of the VT-d specification knows it. */
const TYPE_NUMBERS: Readonly<Record<DescriptorKind, number>> = {
  'context-cache': 1,
  iotlb: 2,
  'interrupt-entry': 4,
  wait: 5,
  'pasid-iotlb': 6,
  'pasid-cache': 7,
}

const BECOMES: Readonly<Record<DescriptorKind, string>> = {
  'context-cache': 'Invalidate, domain',
  iotlb: 'Invalidate, domain',
  'interrupt-entry': "the VMM's own business",
  wait: 'a barrier',
  'pasid-iotlb': 'Invalidate, PASID or addresses',
  'pasid-cache': 'BindPasid, then with replace',
}

const count = (value: number): string => value.toLocaleString('en-US').replaceAll(',', ' ')

export function countsTable(descriptors: readonly Descriptor[], runs: readonly Run[]): string {
  const head = ['type', 'descriptor', 'recorded', 'becomes', ...runs.map(({ name }) => name)]
  const table = plainTable(head, [0, 2])
  for (const kind of KINDS) {
    const recorded = descriptors.filter((one) => one.kind === kind).length
    if (recorded === 0) continue
    const ends = runs.map(({ tally }) => outcomesOf(kind, tally))
    table.push([TYPE_NUMBERS[kind], kind, count(recorded), BECOMES[kind], ...ends])
  }
  const ends = runs.map(({ tally }) => `${count(tally.ended)} ended`)
  table.push(['', 'all', count(descriptors.length), '', ...ends])
  return table.toString()
}

function outcomesOf(kind: DescriptorKind, tally: Tally): string {
  const parts = OUTCOMES.map((outcome) => [tally.of(kind, outcome), outcome] as const)
  const some = parts.filter(([ended]) => ended > 0)
  return some.map(([ended, outcome]) => `${count(ended)} ${outcome}`).join(', ')
}

export function latencyTable(runs: readonly Run[]): string {
  const head = ['run', 'call', 'count', 'p50 µs', 'p90 µs', 'p99 µs', 'max µs']
  const table = plainTable(head, [2, 3, 4, 5, 6])
  for (const { name, tally } of runs) {
    for (const [call, { count: calls, ...us }] of tally.latencies()) {
      const figures = [us.p50Us, us.p90Us, us.p99Us, us.maxUs].map((one) => count(Math.round(one)))
      table.push([name, call, count(calls), ...figures])
    }
  }
  return table.toString()
}

export function throughput({ name, tally }: Run): string {
  const perSecond = (number: number) => count(Math.round((number / tally.elapsedMs) * 1000))
  const calls = tally.total('answered') + tally.total('refused')
  const seconds = (tally.elapsedMs / 1000).toFixed(1)
  const rates = `${perSecond(tally.ended)} descriptors/s, ${perSecond(calls)} calls/s`
  return `${name}: ${count(tally.ended)} descriptors in ${seconds} s: ${rates}`
}

/** As `pasidctl list` shows it. */
export function allocationsTable(allocations: readonly Allocation[]): string {
  const head = ['PASID', 'scope', 'state', 'session', 'labels', 'bound to', 'domain']
  const table = plainTable(head, [0, 6])
  for (const { pasid, scope, state, session, labels, bindings } of allocations) {
    const label = Object.entries(labels).map(([key, value]) => `${key}=${value}`)
    const places = bindings.map(({ device, firstStage, state: stage }) => {
      const at = firstStage ? `0x${Number(firstStage.address).toString(16)}` : 'pass-through'
      return `${device.replace('devices/', '')}: ${at} ${stage.replace('BINDING_STATE_', '')}`
    })
    table.push([
      pasid,
      scope.replace('SCOPE_', ''),
      state.replace('ALLOCATION_STATE_', ''),
      session.replace('sessions/', ''),
      label.join(' '),
      places.join('\n'),
      bindings.map(({ domain }) => domain).join('\n'),
    ])
  }
  return table.toString()
}

/** No colours and only lines that a pipe carries too. */
function plainTable(head: string[], right: readonly number[]): Table.Table {
  return new Table({
    head,
    style: { head: [], border: [], compact: true },
    colAligns: head.map((_, column) => (right.includes(column) ? 'right' : 'left')),
  })
}
