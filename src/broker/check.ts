/**
 * Check: memory against its own invariants, against the ledger read afresh, and against what the
 * backend says is bound. Changes nothing. Commits wait while the ledger is read.
 */

import { sameTable } from '../core/binding.js'
import { differencesOf } from '../core/compare.js'
import type { Image } from '../core/image.js'
import { problemsOf } from '../core/invariants.js'
import { restore, type DescribedDevice } from '../core/restore.js'
import { accept, type Outcome } from '../core/refusal.js'
import { BackendFault } from '../backend/backend.js'
import { LedgerFault } from '../ledger/ledger.js'
import type { CheckReport, Problem } from './answers.js'
import { no, tick, unavailable, type Context } from './context.js'

export const PROBLEMS_MAX = 100

export async function check(context: Context): Promise<Outcome<CheckReport>> {
  const problems: Problem[] = []
  try {
    const { ledger } = context.queue
    await context.queue.besideLedger(
      () => ledger.load(),
      (image) => problems.push(...againstMemory(context, image)),
    )
  } catch (fault) {
    if (fault instanceof LedgerFault) return no(context, unavailable())
    throw fault
  }
  problems.push(...(await againstBackend(context)))
  const { state, queue } = context
  let allocations = 0
  for (const { counts } of state.namespaces.values()) allocations += counts.held + counts.pending
  return accept({
    revision: queue.durable,
    problems: problems.slice(0, PROBLEMS_MAX),
    problemCount: problems.length,
    allocations,
    sessions: state.sessions.size,
    bindings: state.bindings.size,
  })
}

function againstMemory(context: Context, image: Image): Problem[] {
  const { state } = context
  const now = tick(context)
  const devices = new Map<string, DescribedDevice>()
  for (const { name, facts, scope } of state.devices.values()) devices.set(name, { facts, scope })
  const stored = restore(image, state.policy, devices, now.instant)
  const names = { left: 'memory', right: 'ledger' }
  const invariant = problemsOf(state).map((description): Problem => {
    return { against: 'invariant', description }
  })
  const ledger = differencesOf(state, stored, names).map((description): Problem => {
    return { against: 'ledger', description }
  })
  if (image.revision !== state.revision) {
    const description = `memory is at revision ${state.revision}, the ledger at ${image.revision}`
    ledger.push({ against: 'ledger', description })
  }
  return [...invariant, ...ledger]
}

/** Bindings under way are left out: they are about to be one or the other. */
async function againstBackend(context: Context): Promise<Problem[]> {
  const { backend, state } = context
  const say = (description: string): Problem => ({ against: 'backend', description })
  try {
    const observed = await backend.observe()
    if (observed.kind === 'UNKNOWN') return []
    const problems: Problem[] = []
    const seen = new Set<number>()
    for (const { device: name, target, session, table } of observed.places) {
      const device = state.deviceByName.get(name)
      const binding = device === undefined ? undefined : state.bindingAt(device.id, target)
      if (device !== undefined) seen.add(device.id * 2 ** 20 + target)
      const where = `${name} target ${target}`
      if (binding?.session !== session) {
        problems.push(say(`${where} is bound and nobody asked for it`))
        continue
      }
      if (binding.state === 'BOUND' && !sameTable(binding.table, table)) {
        problems.push(say(`${where} is bound to another table than recorded`))
      }
    }
    for (const [key, binding] of state.bindings) {
      if (binding.state !== 'BOUND' || seen.has(key)) continue
      const { name } = state.device(binding.device)
      problems.push(say(`${name} target ${binding.target} is recorded as bound and is not`))
    }
    return problems
  } catch (fault) {
    if (fault instanceof BackendFault) return [say(`backend cannot be asked: ${fault.message}`)]
    throw fault
  }
}
