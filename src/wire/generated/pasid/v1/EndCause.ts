// Original file: proto/pasid/v1/types.proto

export const EndCause = {
  END_CAUSE_UNSPECIFIED: 'END_CAUSE_UNSPECIFIED',
  END_CAUSE_CLOSED: 'END_CAUSE_CLOSED',
  END_CAUSE_EXIT: 'END_CAUSE_EXIT',
  END_CAUSE_SWEEP: 'END_CAUSE_SWEEP',
  END_CAUSE_INFERRED: 'END_CAUSE_INFERRED',
  END_CAUSE_LINGER: 'END_CAUSE_LINGER',
  END_CAUSE_OPERATOR: 'END_CAUSE_OPERATOR',
} as const;

export type EndCause =
  | 'END_CAUSE_UNSPECIFIED'
  | 0
  | 'END_CAUSE_CLOSED'
  | 1
  | 'END_CAUSE_EXIT'
  | 2
  | 'END_CAUSE_SWEEP'
  | 3
  | 'END_CAUSE_INFERRED'
  | 4
  | 'END_CAUSE_LINGER'
  | 5
  | 'END_CAUSE_OPERATOR'
  | 6

export type EndCause__Output = typeof EndCause[keyof typeof EndCause]
