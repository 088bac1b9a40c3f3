// Original file: proto/pasid/v1/types.proto

export const BindingState = {
  BINDING_STATE_UNSPECIFIED: 'BINDING_STATE_UNSPECIFIED',
  BINDING_STATE_BINDING: 'BINDING_STATE_BINDING',
  BINDING_STATE_BOUND: 'BINDING_STATE_BOUND',
  BINDING_STATE_UNBINDING: 'BINDING_STATE_UNBINDING',
  BINDING_STATE_LOST: 'BINDING_STATE_LOST',
} as const;

export type BindingState =
  | 'BINDING_STATE_UNSPECIFIED'
  | 0
  | 'BINDING_STATE_BINDING'
  | 1
  | 'BINDING_STATE_BOUND'
  | 2
  | 'BINDING_STATE_UNBINDING'
  | 3
  | 'BINDING_STATE_LOST'
  | 4

export type BindingState__Output = typeof BindingState[keyof typeof BindingState]
