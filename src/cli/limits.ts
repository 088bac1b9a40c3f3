/** A tenant's limits on the command line: `max_pasids=1000 window=300-400 max_sessions=inherit`. */

import type { Tenant, TenantLimits } from '../client/index.js'
import { PASID_LAST } from '../core/ids.js'
import { CliFailure, EXIT } from './exits.js'

type Field = keyof TenantLimits
type Value = NonNullable<TenantLimits[Field]> | null
type OwnLimits = Pick<Tenant, Field>

/** As the configuration calls them, which is how operators know them. */
const FIELDS: ReadonlyMap<string, Field> = new Map([
  ['max_pasids', 'maxPasids'],
  ['guaranteed_pasids', 'guaranteedPasids'],
  ['max_sessions', 'maxSessions'],
  ['session_max_pasids', 'ownSessionMaxPasids'],
  ['window', 'ownWindow'],
])
const UINT32_MAX = 2 ** 32 - 1
const INHERIT = 'inherit'

export const LIMITS_HELP = `
Limits, each NAME=VALUE:
  max_pasids          PASIDs of it and those below it, over all scopes
  guaranteed_pasids   HOST-scope numbers that are kept for it
  max_sessions        sessions open at once, of it and those below it
  session_max_pasids  PASIDs that one session of it may hold
  window              FIRST-LAST: HOST-scope numbers it may be given
VALUE is a number, where 0 denies, or ${INHERIT}: no limit of its own, what is above it holds.
A limit below the use takes nothing away; nothing more is given until the use is below it.
Changes stay, over restarts and changes of the configuration, until: pasidctl quota revert TENANT`

function wrong(pair: string, problem: string): CliFailure {
  return new CliFailure(`${pair}: ${problem}`, EXIT.USAGE)
}

function numberIn(pair: string, text: string, most: number): number {
  const value = Number(text)
  if (/^\d{1,10}$/.test(text) && value <= most) return value
  throw wrong(pair, `must be a whole number from 0 to ${most}, or ${INHERIT}`)
}

function windowIn(pair: string, text: string) {
  const [, from, to] = /^(\d{1,7})(?:-|\.\.)(\d{1,7})$/.exec(text) ?? []
  const [first, last] = [Number(from), Number(to)]
  if (first >= 1 && first <= last && last <= PASID_LAST) return { first, last }
  throw wrong(pair, `must be FIRST-LAST, 1 <= FIRST <= LAST <= ${PASID_LAST}, or ${INHERIT}`)
}

/** @throws CliFailure */
export function limitsIn(pairs: readonly string[]): TenantLimits {
  const limits = new Map<Field, Value>()
  for (const pair of pairs) {
    const [name = '', text = ''] = pair.split(/=(.*)/s)
    const field = FIELDS.get(name)
    if (field === undefined || !pair.includes('=')) {
      throw wrong(pair, `must be NAME=VALUE, NAME one of ${[...FIELDS.keys()].join(', ')}`)
    }
    if (limits.has(field)) throw wrong(pair, `${name} is there twice`)
    if (text === INHERIT) limits.set(field, null)
    else if (field === 'ownWindow') limits.set(field, windowIn(pair, text))
    else limits.set(field, numberIn(pair, text, UINT32_MAX))
  }
  return Object.fromEntries(limits)
}

function valueText(value: Value | undefined): string {
  if (value === null || value === undefined) return INHERIT
  return typeof value === 'number' ? String(value) : `${value.first}-${value.last}`
}

/** Every limit whose own value is another, by its name: `1000 -> 500`. */
export function changesBetween(
  before: OwnLimits,
  after: OwnLimits,
): readonly (readonly [name: string, text: string])[] {
  return [...FIELDS].flatMap(([name, field]) => {
    const [from, to] = [valueText(before[field]), valueText(after[field])]
    return from === to ? [] : [[name, `${from} -> ${to}`] as const]
  })
}
