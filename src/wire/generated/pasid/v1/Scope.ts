// Original file: proto/pasid/v1/types.proto

export const Scope = {
  SCOPE_UNSPECIFIED: 'SCOPE_UNSPECIFIED',
  SCOPE_HOST: 'SCOPE_HOST',
  SCOPE_DEVICE: 'SCOPE_DEVICE',
} as const;

export type Scope =
  | 'SCOPE_UNSPECIFIED'
  | 0
  | 'SCOPE_HOST'
  | 1
  | 'SCOPE_DEVICE'
  | 2

export type Scope__Output = typeof Scope[keyof typeof Scope]
