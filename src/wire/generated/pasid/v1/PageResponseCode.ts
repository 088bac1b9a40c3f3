// Original file: proto/pasid/v1/pasid_broker.proto

export const PageResponseCode = {
  PAGE_RESPONSE_CODE_UNSPECIFIED: 'PAGE_RESPONSE_CODE_UNSPECIFIED',
  PAGE_RESPONSE_CODE_SUCCESS: 'PAGE_RESPONSE_CODE_SUCCESS',
  PAGE_RESPONSE_CODE_INVALID: 'PAGE_RESPONSE_CODE_INVALID',
  PAGE_RESPONSE_CODE_FAILURE: 'PAGE_RESPONSE_CODE_FAILURE',
} as const;

export type PageResponseCode =
  | 'PAGE_RESPONSE_CODE_UNSPECIFIED'
  | 0
  | 'PAGE_RESPONSE_CODE_SUCCESS'
  | 1
  | 'PAGE_RESPONSE_CODE_INVALID'
  | 2
  | 'PAGE_RESPONSE_CODE_FAILURE'
  | 3

export type PageResponseCode__Output = typeof PageResponseCode[keyof typeof PageResponseCode]
