/** What only operators see: reservations, namespaces, and the report of Check. */

import type { CheckReport, NamespaceView } from '../../broker/answers.js'
import type { Namespace } from '../../wire/generated/pasid/v1/Namespace.js'
import type { Reservation } from '../../wire/generated/pasid/v1/Reservation.js'
import type { OperatorResponse } from '../../wire/messages.js'
import { deviceName, scopeProto } from './scope.js'
import { shown } from './text.js'
import { timestamp } from './time.js'

const DESCRIPTION_LENGTH_MAX = 2000

export function reservationProto(row: {
  readonly first: number
  readonly last: number
  readonly reason: string
}): Reservation {
  const { first, last, reason } = row
  return { range: { first, last }, reason }
}

export function namespaceProto(view: NamespaceView): Namespace {
  const { hostMax, scope, device, occupancy, ...numbers } = view
  return {
    ...numbers,
    scope: scopeProto(scope),
    device: deviceName(device),
    occupancy: [...occupancy],
    ...(hostMax !== undefined && { hostMax }),
  }
}

export function checkProto(report: CheckReport, checkedAt: number): OperatorResponse<'Check'> {
  const { problems, problemCount, ...counts } = report
  return {
    ...counts,
    consistent: problemCount === 0,
    problems: problems.map(({ against, description }) => {
      return { against, description: shown(description, DESCRIPTION_LENGTH_MAX) }
    }),
    problemCount,
    checkTime: timestamp(checkedAt),
  }
}
