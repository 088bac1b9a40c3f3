// Original file: proto/pasid/v1/pasid_broker.proto

export const RidState = {
  RID_STATE_UNSPECIFIED: 'RID_STATE_UNSPECIFIED',
  RID_STATE_NOT_ATTACHED: 'RID_STATE_NOT_ATTACHED',
  RID_STATE_ON_PARENT: 'RID_STATE_ON_PARENT',
  RID_STATE_COMPATIBLE: 'RID_STATE_COMPATIBLE',
  RID_STATE_INCOMPATIBLE: 'RID_STATE_INCOMPATIBLE',
} as const;

export type RidState =
  | 'RID_STATE_UNSPECIFIED'
  | 0
  | 'RID_STATE_NOT_ATTACHED'
  | 1
  | 'RID_STATE_ON_PARENT'
  | 2
  | 'RID_STATE_COMPATIBLE'
  | 3
  | 'RID_STATE_INCOMPATIBLE'
  | 4

export type RidState__Output = typeof RidState[keyof typeof RidState]
