// Original file: proto/pasid/v1/pasid_broker.proto

export const InvalidationCache = {
  INVALIDATION_CACHE_UNSPECIFIED: 'INVALIDATION_CACHE_UNSPECIFIED',
  INVALIDATION_CACHE_IOTLB: 'INVALIDATION_CACHE_IOTLB',
  INVALIDATION_CACHE_DEVICE_TLB: 'INVALIDATION_CACHE_DEVICE_TLB',
  INVALIDATION_CACHE_PASID: 'INVALIDATION_CACHE_PASID',
} as const;

export type InvalidationCache =
  | 'INVALIDATION_CACHE_UNSPECIFIED'
  | 0
  | 'INVALIDATION_CACHE_IOTLB'
  | 1
  | 'INVALIDATION_CACHE_DEVICE_TLB'
  | 2
  | 'INVALIDATION_CACHE_PASID'
  | 3

export type InvalidationCache__Output = typeof InvalidationCache[keyof typeof InvalidationCache]
