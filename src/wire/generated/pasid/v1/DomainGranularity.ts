// Original file: proto/pasid/v1/pasid_broker.proto


export interface DomainGranularity {
  'domain'?: (number);
}

export interface DomainGranularity__Output {
  'domain': (number);
}
