// Original file: proto/pasid/v1/pasid_broker.proto


export interface GetServerInfoRequest {
}

export interface GetServerInfoRequest__Output {
}
