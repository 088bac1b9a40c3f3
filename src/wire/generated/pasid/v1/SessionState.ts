// Original file: proto/pasid/v1/types.proto

export const SessionState = {
  SESSION_STATE_UNSPECIFIED: 'SESSION_STATE_UNSPECIFIED',
  SESSION_STATE_OPEN: 'SESSION_STATE_OPEN',
  SESSION_STATE_CLOSING: 'SESSION_STATE_CLOSING',
  SESSION_STATE_LINGERING: 'SESSION_STATE_LINGERING',
} as const;

export type SessionState =
  | 'SESSION_STATE_UNSPECIFIED'
  | 0
  | 'SESSION_STATE_OPEN'
  | 1
  | 'SESSION_STATE_CLOSING'
  | 2
  | 'SESSION_STATE_LINGERING'
  | 3

export type SessionState__Output = typeof SessionState[keyof typeof SessionState]
