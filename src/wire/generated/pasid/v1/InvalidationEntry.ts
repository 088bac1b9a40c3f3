// Original file: proto/pasid/v1/pasid_broker.proto

import type { DomainGranularity as _pasid_v1_DomainGranularity, DomainGranularity__Output as _pasid_v1_DomainGranularity__Output } from '../../pasid/v1/DomainGranularity.js';
import type { PasidGranularity as _pasid_v1_PasidGranularity, PasidGranularity__Output as _pasid_v1_PasidGranularity__Output } from '../../pasid/v1/PasidGranularity.js';
import type { AddressGranularity as _pasid_v1_AddressGranularity, AddressGranularity__Output as _pasid_v1_AddressGranularity__Output } from '../../pasid/v1/AddressGranularity.js';
import type { InvalidationCache as _pasid_v1_InvalidationCache, InvalidationCache__Output as _pasid_v1_InvalidationCache__Output } from '../../pasid/v1/InvalidationCache.js';

export interface InvalidationEntry {
  'domain'?: (_pasid_v1_DomainGranularity | null);
  'pasid'?: (_pasid_v1_PasidGranularity | null);
  'addresses'?: (_pasid_v1_AddressGranularity | null);
  'caches'?: (_pasid_v1_InvalidationCache)[];
  'granularity'?: "domain"|"pasid"|"addresses";
}

export interface InvalidationEntry__Output {
  'domain'?: (_pasid_v1_DomainGranularity__Output | null);
  'pasid'?: (_pasid_v1_PasidGranularity__Output | null);
  'addresses'?: (_pasid_v1_AddressGranularity__Output | null);
  'caches': (_pasid_v1_InvalidationCache__Output)[];
  'granularity'?: "domain"|"pasid"|"addresses";
}
