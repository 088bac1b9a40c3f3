/** How the taking back of what dead processes held stands, and what operators take back. */

import type { EndedSession, ReclaimView, ReleasedAllocation } from '../../broker/answers.js'
import type { ScopeName } from '../../core/commands.js'
import { generation, type Generation, type Pasid } from '../../core/ids.js'
import type { Outcome } from '../../core/refusal.js'
import type { OperatorRequest, OperatorResponse } from '../../wire/messages.js'
import type { Reclaim } from '../../wire/generated/pasid/v1/Reclaim.js'
import { allocationProto } from './allocation.js'
import { Fields } from './fields.js'
import { rowsThatFit } from './paging.js'
import { sessionSize } from './row-size.js'
import { scopeOf } from './scope.js'
import { sessionProtoForOperator } from './session.js'
import { reasonOf } from './text.js'
import { duration, timestamp } from './time.js'

export interface SessionEnd {
  readonly name: string
  readonly reason: string
  readonly validateOnly: boolean
}

export function sessionEndOf(message: OperatorRequest<'EndSession'>): Outcome<SessionEnd> {
  const fields = new Fields()
  const name = fields.name('name', message.name, 'sessions')
  const reason = reasonOf(fields, message.reason)
  return fields.answer({ name, reason, validateOnly: message.validateOnly })
}

export function endedProto({ session, durable }: EndedSession): OperatorResponse<'EndSession'> {
  return { session: sessionProtoForOperator(session), durable }
}

export interface Release {
  readonly scope: ScopeName
  readonly pasid: Pasid
  readonly generation: Generation
  readonly reason: string
  readonly validateOnly: boolean
}

export function releaseOf(message: OperatorRequest<'ReleaseAllocation'>): Outcome<Release> {
  const fields = new Fields()
  const meant = Number(message.generation)
  const known = meant >= 1 && Number.isSafeInteger(meant)
  if (!known) {
    const bound = `a whole number from 1 to ${Number.MAX_SAFE_INTEGER}`
    const remedy = 'send Allocation.generation of the grant that is meant'
    fields.no('generation', message.generation, bound, remedy)
  }
  return fields.answer({
    scope: scopeOf(fields, message.scope, message.device),
    pasid: fields.pasid('pasid', message.pasid),
    generation: generation(known ? meant : 0),
    reason: reasonOf(fields, message.reason),
    validateOnly: message.validateOnly,
  })
}

export function releasedProto(answer: ReleasedAllocation): OperatorResponse<'ReleaseAllocation'> {
  return { allocation: allocationProto(answer.allocation), durable: answer.durable }
}

/** `bytes`: what the stuck sessions may take of the message. */
export function reclaimProto(view: ReclaimView, bytes: number): Reclaim {
  const { breakerOpen, breakerAt, sweepMs, passAt, stuck, backend, ...counts } = view
  return {
    ...counts,
    breakerOpen,
    ...(breakerAt !== undefined && { breakerTime: timestamp(breakerAt) }),
    sweepTime: duration(sweepMs),
    ...(passAt !== undefined && { passTime: timestamp(passAt) }),
    backendState: `BACKEND_STATE_${backend.state}`,
    backendProblem: backend.state === 'READY' ? '' : backend.reason,
    stuck: rowsThatFit(stuck, bytes, sessionSize).map(sessionProtoForOperator),
  }
}
