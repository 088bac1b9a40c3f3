/** The filters of operators' lists, from text to what the broker leaves rows out by. */

import type { SessionsRequest } from '../../broker/answers.js'
import { PASID_LAST } from '../../core/ids.js'
import { intersect, type PasidRange } from '../../core/range.js'
import { accept, refuse, type Outcome } from '../../core/refusal.js'
import type { AllocationState } from '../../core/view.js'
import { parseFilter, type Comparison, type FilterFields } from '../filter.js'

/** Names, not numbers: the broker's numbers of sessions and devices are looked up later. */
export interface AllocationsAsked {
  readonly scope: 'HOST' | { readonly device: string } | undefined
  readonly session: string | undefined
  readonly tenant: string | undefined
  readonly state: AllocationState | undefined
  readonly range: PasidRange | undefined
  /** Comparisons that contradict each other: no row can match. */
  readonly nothing: boolean
}

const ALLOCATION_FIELDS = {
  scope: 'equal',
  session: 'equal',
  tenant: 'equal',
  state: 'equal',
  pasid: 'ordered',
} as const satisfies FilterFields<string>
type AllocationField = keyof typeof ALLOCATION_FIELDS

const ALLOCATION_STATES = ['IDLE', 'ACTIVE', 'FREE_PENDING', 'QUARANTINED'] as const
const SESSION_STATES = ['OPEN', 'LINGERING', 'CLOSING'] as const

/** `sessions/x` as rows show it, or `x`. */
function bare(collection: string, value: string): string {
  return value.startsWith(`${collection}/`) ? value.slice(collection.length + 1) : value
}

function invalid(filter: string, problem: string) {
  return refuse({ code: 'FILTER_INVALID', filter, problem })
}

/** One value a field: another for the same field can match nothing. */
class Values<Field extends string> {
  readonly #values = new Map<Field, string>()
  contradict = false

  set(field: Field, value: string): void {
    const before = this.#values.get(field)
    if (before !== undefined && before !== value) this.contradict = true
    this.#values.set(field, value)
  }

  get(field: Field): string | undefined {
    return this.#values.get(field)
  }
}

export function allocationsAsked(filter: string): Outcome<AllocationsAsked> {
  const parsed = parseFilter<AllocationField>(filter, ALLOCATION_FIELDS)
  if (!parsed.ok) return parsed
  const values = new Values<AllocationField>()
  const whole: PasidRange = { first: 1, last: PASID_LAST }
  let range: PasidRange | undefined = whole
  for (const comparison of parsed.value) {
    const { field, value } = comparison
    if (field !== 'pasid') {
      values.set(field, bare(`${field}s`, value))
      continue
    }
    const one = rangeOf(comparison)
    if (one === undefined) {
      return invalid(filter, `pasid "${value}" is not a number from 0 to ${PASID_LAST}`)
    }
    range = range === undefined ? undefined : intersect(range, one)
  }
  const state = oneOf(ALLOCATION_STATES, values.get('state'))
  if (!state.ok) return invalid(filter, state.problem)
  const scope = values.get('scope')
  return accept({
    scope: scope === undefined || scope === 'HOST' ? scope : { device: bare('devices', scope) },
    session: values.get('session'),
    tenant: values.get('tenant'),
    state: state.value,
    range: range === whole ? undefined : range,
    nothing: values.contradict || range === undefined,
  })
}

function rangeOf({ operator, value }: Comparison<AllocationField>): PasidRange | undefined {
  const number = /^\d{1,10}$/.test(value) ? Number(value) : NaN
  if (!(number <= PASID_LAST)) return undefined
  if (operator === '<=') return { first: 0, last: number }
  if (operator === '>=') return { first: number, last: PASID_LAST }
  return { first: number, last: number }
}

function oneOf<State extends string>(
  states: readonly State[],
  value: string | undefined,
):
  | { readonly ok: true; readonly value: State | undefined }
  | { readonly ok: false; readonly problem: string } {
  const known = states.find((state) => state === value)
  if (value === undefined || known !== undefined) return { ok: true, value: known }
  return { ok: false, problem: `"${value}" is no state; states are ${states.join(', ')}` }
}

const SESSION_FIELDS = {
  tenant: 'equal',
  state: 'equal',
  device: 'equal',
} as const satisfies FilterFields<string>

export type SessionsAsked = Pick<SessionsRequest, 'tenant' | 'state' | 'device'> & {
  readonly nothing: boolean
}

export function sessionsAsked(filter: string): Outcome<SessionsAsked> {
  const parsed = parseFilter<keyof typeof SESSION_FIELDS>(filter, SESSION_FIELDS)
  if (!parsed.ok) return parsed
  const values = new Values<keyof typeof SESSION_FIELDS>()
  for (const { field, value } of parsed.value) values.set(field, bare(`${field}s`, value))
  const state = oneOf(SESSION_STATES, values.get('state'))
  if (!state.ok) return invalid(filter, state.problem)
  return accept({
    tenant: values.get('tenant'),
    state: state.value,
    device: values.get('device'),
    nothing: values.contradict,
  })
}
