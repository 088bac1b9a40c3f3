// Original file: proto/pasid/v1/pasid_broker.proto


export interface ListPasidsRequest {
  'session'?: (string);
  'pageSize'?: (number);
  'pageToken'?: (string);
}

export interface ListPasidsRequest__Output {
  'session': (string);
  'pageSize': (number);
  'pageToken': (string);
}
