/** What only operators see: tenants, reservations, namespaces, and the report of Check. */

import type { CheckReport, NamespaceView } from '../../broker/answers.js'
import { PASID_LAST } from '../../core/ids.js'
import type { TenantView } from '../../core/view.js'
import type { Namespace } from '../../wire/generated/pasid/v1/Namespace.js'
import type { Reservation } from '../../wire/generated/pasid/v1/Reservation.js'
import type { Tenant } from '../../wire/generated/pasid/v1/Tenant.js'
import type { OperatorResponse } from '../../wire/messages.js'
import { deviceName, scopeProto } from './scope.js'
import { timestamp } from './time.js'

const DESCRIPTION_LENGTH_MAX = 2000

export function tenantProto(view: TenantView): Tenant {
  const { maxPasids, maxSessions, window } = view
  return {
    name: `tenants/${view.name}`,
    parent: view.parent === undefined ? '' : `tenants/${view.parent}`,
    usedPasids: view.used,
    ...(maxPasids !== undefined && { maxPasids }),
    sessions: view.sessions,
    ...(maxSessions !== undefined && { maxSessions }),
    // The host has no more numbers than there are, whatever a configuration says.
    sessionMaxPasids: Math.min(view.sessionMaxPasids, PASID_LAST),
    ...(window !== undefined && { window }),
    configured: view.configured,
  }
}

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
      return { against, description: description.slice(0, DESCRIPTION_LENGTH_MAX) }
    }),
    problemCount,
    checkTime: timestamp(checkedAt),
  }
}
