// Original file: proto/pasid/v1/operator.proto

export const BackendState = {
  BACKEND_STATE_UNSPECIFIED: 'BACKEND_STATE_UNSPECIFIED',
  BACKEND_STATE_READY: 'BACKEND_STATE_READY',
  BACKEND_STATE_DEGRADED: 'BACKEND_STATE_DEGRADED',
  BACKEND_STATE_DEAD: 'BACKEND_STATE_DEAD',
} as const;

export type BackendState =
  | 'BACKEND_STATE_UNSPECIFIED'
  | 0
  | 'BACKEND_STATE_READY'
  | 1
  | 'BACKEND_STATE_DEGRADED'
  | 2
  | 'BACKEND_STATE_DEAD'
  | 3

export type BackendState__Output = typeof BackendState[keyof typeof BackendState]
