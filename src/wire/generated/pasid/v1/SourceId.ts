// Original file: proto/pasid/v1/pasid_broker.proto


export interface SourceId {
  'sourceId'?: (number);
  'device'?: (string);
}

export interface SourceId__Output {
  'sourceId': (number);
  'device': (string);
}
