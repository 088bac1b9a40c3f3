// Original file: proto/pasid/v1/pasid_broker.proto


export interface PasidGranularity {
  'pasid'?: (number);
  'rid'?: (boolean);
  'device'?: (string);
  'target'?: "pasid"|"rid";
}

export interface PasidGranularity__Output {
  'pasid'?: (number);
  'rid'?: (boolean);
  'device': (string);
  'target'?: "pasid"|"rid";
}
