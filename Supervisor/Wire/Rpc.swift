// JSON-RPC 2.0 (https://www.jsonrpc.org/specification), as it is spoken on stream 0.
//
// Batches are not taken: whoever has many requests sends many frames, and is answered in any order.

/// Why a request failed. The numbers are stable, and so are the words.
public enum RpcErrorCode: Int64, Sendable, CaseIterable {
    /// The message is no JSON.
    case parse = -32700
    /// The message is no request.
    case invalidRequest = -32600
    /// No such method.
    case unknownMethod = -32601
    /// A parameter is missing, unknown or of the wrong type.
    case invalidParams = -32602
    /// A defect of Cordon's.
    case defect = -32603
    /// A frame that is none: too long, too short, of an unknown kind, on an unknown stream, beyond its credit.
    case frame = 1
    /// `hello` comes first.
    case notReady = 2
    /// No version in common.
    case version = 3
    /// The id of a request that is not answered yet.
    case repeatedId = 4
    /// The machine, the policy or a limit refuses; the data says which step, on what, why, and what to do.
    case refused = 10
    /// A verdict; the data holds it, with its evidence.
    case denied = 11
    /// Nobody approved in time.
    case notApproved = 12
    /// A limit on how much at a time, or in a minute; the data may say when to try again.
    case limit = 13
    /// No such session, of this user.
    case unknownSession = 20
    /// No such command in that session, or not any more.
    case unknownCommand = 21
    /// No such terminal in that session, or not any more.
    case unknownTerminal = 22
    /// No such question, or it is answered already.
    case unknownApproval = 23
    /// It has ended: a session that is closed, a command that takes no more input.
    case ended = 24
    /// The name is taken.
    case nameTaken = 25
    /// The caller may not do that.
    case notAllowed = 26
    /// The caller took it back.
    case cancelled = 30
    /// The caller's deadline passed.
    case deadline = 31
    /// The cache cannot do that; the data says why.
    case cache = 40
    /// The journal or the audit log cannot be written; nothing new is begun until it can.
    case storage = 50

    /// The word for programs.
    public var name: String {
        switch self {
        case .parse: "parse_error"
        case .invalidRequest: "invalid_request"
        case .unknownMethod: "unknown_method"
        case .invalidParams: "invalid_params"
        case .defect: "defect"
        case .frame: "bad_frame"
        case .notReady: "not_ready"
        case .version: "unsupported_version"
        case .repeatedId: "repeated_id"
        case .refused: "refused"
        case .denied: "denied"
        case .notApproved: "not_approved"
        case .limit: "limit"
        case .unknownSession: "unknown_session"
        case .unknownCommand: "unknown_command"
        case .unknownTerminal: "unknown_terminal"
        case .unknownApproval: "unknown_approval"
        case .ended: "ended"
        case .nameTaken: "name_taken"
        case .notAllowed: "not_allowed"
        case .cancelled: "cancelled"
        case .deadline: "deadline"
        case .cache: "cache"
        case .storage: "storage"
        }
    }
}

/// A request's failure.
public struct RpcError: Error, Sendable, Equatable {
    /// Which.
    public var code: RpcErrorCode
    /// For people: what is wrong, and what to do.
    public var message: String
    /// For programs; what there is depends on the code.
    public var data: JsonObject

    /// A failure.
    public init(_ code: RpcErrorCode, _ message: String, _ data: JsonObject = [:]) {
        self.code = code
        self.message = message
        self.data = data
    }

    /// As the member `error` of a response. Its data has the code's word as `kind`.
    public var json: JsonObject {
        var all: JsonObject = ["kind": .string(code.name)]
        // One that was read from a response has the word already.
        for name in data.names where !name.utf8.elementsEqual("kind".utf8) {
            if let value = data[name] { all.add(name, value) }
        }
        return ["code": .number(code.rawValue), "message": .string(message), "data": .object(all)]
    }

    /// From the member `error` of a response.
    init(_ json: JsonObject) {
        let known = json["code"]?.whole.flatMap(RpcErrorCode.init)
        self.init(known ?? .defect, json["message"]?.text ?? "no message", json["data"]?.members ?? [:])
    }
}

/// What a request is known by: a number or a text, as its sender chose.
public enum RpcId: Sendable, Hashable {
    /// A whole number.
    case number(Int64)
    /// A text, by its bytes.
    case text([UInt8])

    /// From JSON; nil for what is none.
    public init?(_ value: JsonValue) {
        if let number = value.whole {
            self = .number(number)
        } else if let text = value.text, text.utf8.count <= 256 {
            self = .text(Array(text.utf8))
        } else {
            return nil
        }
    }

    /// As JSON.
    public var json: JsonValue {
        switch self {
        case .number(let number): .number(number)
        case .text(let bytes): .string(String(decoding: bytes, as: UTF8.self))
        }
    }
}

/// A message.
public enum RpcMessage: Sendable {
    /// A request; without an id it is a notification, which nobody answers.
    case request(id: RpcId?, method: String, params: JsonObject)
    /// The answer to a request.
    case response(id: RpcId?, Result<JsonValue, RpcError>)

    /// Reads one.
    ///
    /// - Throws: ``RpcError`` for what is no JSON or no message; `id` is the message's, as far as it could be told.
    public static func parse(_ bytes: [UInt8]) -> Result<RpcMessage, RpcFailure> {
        let value: JsonValue
        do throws(JsonError) { value = try JsonValue(parsing: bytes) } catch {
            return .failure(
                RpcFailure(
                    id: nil,
                    error: RpcError(.parse, "no JSON: \(error.message)", ["offset": .number(Int64(error.offset))])))
        }
        guard let object = value.members else { return .failure(invalid(nil, "the message is no object")) }
        let id = object["id"].flatMap(RpcId.init)
        guard object["jsonrpc"]?.text == "2.0" else { return .failure(invalid(id, "\"jsonrpc\" must be \"2.0\"")) }
        if let given = object["id"], id == nil, given != .null {
            return .failure(invalid(nil, "\"id\" must be a whole number, or a text of at most 256 bytes"))
        }
        if let method = object["method"] {
            for name in object.names where !["jsonrpc", "id", "method", "params"].contains(name) {
                return .failure(invalid(id, "unknown member \"\(name)\""))
            }
            guard let method = method.text else { return .failure(invalid(id, "\"method\" must be a text")) }
            guard object["id"] != .null else { return .failure(invalid(nil, "\"id\" must not be null")) }
            guard let params = object["params"] else { return .success(.request(id: id, method: method, params: [:])) }
            guard let members = params.members else {
                return .failure(
                    RpcFailure(id: id, error: RpcError(.invalidParams, "\"params\" must be an object")))
            }
            return .success(.request(id: id, method: method, params: members))
        }
        if let error = object["error"]?.members { return .success(.response(id: id, .failure(RpcError(error)))) }
        if let result = object["result"] { return .success(.response(id: id, .success(result))) }
        return .failure(invalid(id, "neither a request nor a response"))
    }

    /// As text, in UTF-8.
    public var encoded: [UInt8] {
        var text = "{\"jsonrpc\":\"2.0\""
        switch self {
        case .request(let id, let method, let params):
            if let id { text += ",\"id\":" + id.json.serialized }
            text += ",\"method\":" + JsonValue.string(method).serialized + ",\"params\":"
            params.write(to: &text)
        case .response(let id, let result):
            text += ",\"id\":" + (id?.json ?? .null).serialized
            switch result {
            case .success(let value): text += ",\"result\":" + value.serialized
            case .failure(let error): text += ",\"error\":" + error.json.text
            }
        }
        text += "}"
        return Array(text.utf8)
    }

    private static func invalid(_ id: RpcId?, _ message: String) -> RpcFailure {
        RpcFailure(id: id, error: RpcError(.invalidRequest, message))
    }
}

/// A message that cannot be taken, and whom to tell.
public struct RpcFailure: Error, Sendable, Equatable {
    /// The message's id, where it has one.
    public var id: RpcId?
    /// What is wrong.
    public var error: RpcError
}
