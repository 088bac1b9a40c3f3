/** Failures that are ordered in advance, and faults that the unit recorded. */

import type { LabEffect, LabFailure, LabFault } from '../../backend/lab.js'
import type { Outcome } from '../../core/refusal.js'
import { quoted } from '../../wire/quote.js'
import type { RecordedFault } from '../../wire/generated/pasid/v1/RecordedFault.js'
import type { LabRequest } from '../../wire/messages.js'
import { durationOf } from '../convert/duration.js'
import { Fields } from '../convert/fields.js'
import { timestamp } from '../convert/time.js'
import { atMost, deviceOrNone, emulatedTargetProto, rowsOf, sequenceOf } from './names.js'

type Injection = LabRequest<'InjectFault'>

const EFFECTS: readonly LabEffect[] = [
  'attachDevice',
  'detachDevice',
  'bind',
  'replace',
  'unbind',
  'invalidate',
  'respond',
]
const FAILURES = ['RETRY', 'REFUSE', 'STOP'] as const
const HEALTHS = ['READY', 'DEGRADED', 'DEAD'] as const
const EFFECTS_MAX = 1_000_000
const SLOW_MS_MAX = 60_000
const FAULTS_DEFAULT = 100
const FAULTS_MAX = 1000

export type InjectionAsked =
  | { readonly kind: 'DEVICE'; readonly device: string; readonly failure: LabFailure }
  | { readonly kind: 'HEALTH'; readonly state: (typeof HEALTHS)[number] }

export function injectionOf(message: Injection): Outcome<InjectionAsked> {
  const fields = new Fields()
  if (message.fault === 'health') {
    onlyFor(fields, message, [])
    if (message.device !== '') {
      const remedy = 'leave it out: health is of the whole backend'
      fields.no('device', quoted(message.device), 'nothing with health', remedy)
    }
    return fields.answer({
      kind: 'HEALTH',
      state: oneOf(fields, 'health', message.health, HEALTHS),
    })
  }
  const device = fields.name('device', message.device, 'devices')
  return fields.answer({ kind: 'DEVICE', device, failure: failureOf(fields, message) })
}

function failureOf(fields: Fields, message: Injection): LabFailure {
  if (message.fault === 'dead') {
    onlyFor(fields, message, [])
    if (message.dead !== true)
      fields.no('dead', 'false', 'true', 'set it to true, or another fault')
    return { kind: 'DEAD' }
  }
  const effect =
    message.effect === '' ? undefined : oneOf(fields, 'effect', message.effect, EFFECTS)
  const skip = atMost(fields, 'skip', message.skip, EFFECTS_MAX)
  const times = atMost(fields, 'times', message.times, EFFECTS_MAX)
  if (message.fault === 'slow') {
    onlyFor(fields, message, ['effect', 'skip', 'times'])
    const ms = durationOf(fields, 'slow', message.slow ?? null, SLOW_MS_MAX)
    if (ms === 0) fields.no('slow', '0 ms', '1 ms to 60 s', 'set it, or leave the fault out')
    return { kind: 'SLOW', ms, effect, skip, times }
  }
  if (message.fault !== 'fail') fields.missing('fault', 'one of fail, slow, dead, health')
  const as = oneOf(fields, 'fail', message.fail, FAILURES)
  const { afterTeardown } = message
  if (afterTeardown && effect !== 'replace') {
    const remedy = 'set effect to replace: no other effect has two halves'
    fields.no('after_teardown', 'true', 'false but for replace', remedy)
  }
  return { kind: 'FAIL', as, effect, skip, times: times === 0 ? 1 : times, afterTeardown }
}

const DETAILS = ['effect', 'skip', 'times', 'after_teardown'] as const

/** What was said for nothing is more likely a mistake than meant. */
function onlyFor(fields: Fields, message: Injection, taken: readonly string[]): void {
  const { effect, skip, times, afterTeardown } = message
  const said = { effect, skip, times, after_teardown: afterTeardown }
  for (const name of DETAILS) {
    const value = said[name]
    const isSaid = value !== '' && value !== 0 && value !== false
    if (!isSaid || taken.includes(name)) continue
    fields.no(name, quoted(String(value)), `nothing with ${message.fault}`, 'leave it out')
  }
}

function oneOf<Name extends string>(
  fields: Fields,
  field: string,
  value: string | undefined,
  names: readonly [Name, ...Name[]] | readonly Name[],
): Name {
  const found = names.find((name) => name === value)
  if (found === undefined) {
    fields.no(field, quoted(value ?? ''), `one of ${names.join(', ')}`, 'send one as it is written')
  }
  return found ?? names[0]
}

/** For the audit. */
export function injectionText(asked: InjectionAsked): string {
  if (asked.kind === 'HEALTH') return `health ${asked.state}`
  const { failure } = asked
  if (failure.kind === 'DEAD') return 'dead'
  const what = failure.kind === 'FAIL' ? `fail ${failure.as}` : `slow ${failure.ms} ms`
  return `${what}, effect ${failure.effect ?? 'any'}, skip ${failure.skip}, times ${failure.times}`
}

export function clearOf(message: LabRequest<'ClearFaults'>): Outcome<string> {
  const fields = new Fields()
  return fields.answer(deviceOrNone(fields, 'device', message.device))
}

export interface FaultsAsked {
  readonly device: string
  readonly after: number
  readonly count: number
}

export function faultsOf(message: LabRequest<'ListFaults'>): Outcome<FaultsAsked> {
  const fields = new Fields()
  return fields.answer({
    device: deviceOrNone(fields, 'device', message.device),
    after: sequenceOf(message.after),
    count: rowsOf(fields, message.count, FAULTS_DEFAULT, FAULTS_MAX),
  })
}

export function faultProto(fault: LabFault): RecordedFault {
  return {
    sequence: fault.sequence,
    time: timestamp(fault.at),
    device: `devices/${fault.device}`,
    target: emulatedTargetProto(fault.target),
    reason: fault.reason,
    name: fault.name,
    address: fault.address.toString(),
    write: fault.write,
    privileged: fault.privileged,
  }
}
