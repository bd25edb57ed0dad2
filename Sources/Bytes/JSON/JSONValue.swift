/// A JSON text as a tree: exact numbers, objects in their own order, strings compared by bytes.
public enum JSONValue: Sendable {
  case null
  case bool(Bool)
  case number(JSONNumber)
  case string(String)
  case array([JSONValue])
  case object(JSONObject)
}

extension JSONValue {
  /// The text, where this is a string.
  public var string: String? { if case .string(let text) = self { text } else { nil } }

  /// The truth value, where this is one.
  public var bool: Bool? { if case .bool(let value) = self { value } else { nil } }

  /// The number, where this is one.
  public var number: JSONNumber? { if case .number(let number) = self { number } else { nil } }

  /// The whole number, where this is a number written as one that fits.
  public var int: Int? { number?.int }

  /// The nearest `Double`, where this is a number.
  public var double: Double? { number?.double }

  /// The elements, where this is an array.
  public var array: [JSONValue]? { if case .array(let values) = self { values } else { nil } }

  /// The members, where this is an object.
  public var object: JSONObject? { if case .object(let object) = self { object } else { nil } }

  /// Whether this is `null`.
  public var isNull: Bool { if case .null = self { true } else { false } }

  /// A member's value, or nil where this is no object or has none of that name.
  public subscript(_ key: String) -> JSONValue? { object?[key] }

  /// What kind of value this is, in the words of RFC 8259, such as `a string`.
  public var kind: String {
    switch self {
    case .null: "null"
    case .bool: "true or false"
    case .number: "a number"
    case .string: "a string"
    case .array: "an array"
    case .object: "an object"
    }
  }
}

extension JSONValue: Hashable {
  /// Whether the values are equal: strings by their UTF-8 bytes, numbers as they are written,
  /// objects whatever the order of their members.
  public static func == (left: JSONValue, right: JSONValue) -> Bool {
    switch (left, right) {
    case (.null, .null): true
    case (.bool(let left), .bool(let right)): left == right
    case (.number(let left), .number(let right)): left == right
    case (.string(let left), .string(let right)): UTF8Key(left) == UTF8Key(right)
    case (.array(let left), .array(let right)): left == right
    case (.object(let left), .object(let right)): left == right
    default: false
    }
  }

  /// Hashes what `==` compares.
  public func hash(into hasher: inout Hasher) {
    switch self {
    case .null: hasher.combine(0 as UInt8)
    case .bool(let value): hasher.combine(value)
    case .number(let number): hasher.combine(number)
    case .string(let text): hasher.combine(UTF8Key(text))
    case .array(let values): hasher.combine(values)
    case .object(let object): hasher.combine(object)
    }
  }
}

extension JSONValue: ExpressibleByBooleanLiteral,
  ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral, ExpressibleByStringLiteral,
  ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
  /// Makes a truth value.
  public init(booleanLiteral value: Bool) { self = .bool(value) }

  /// Makes a whole number.
  public init(integerLiteral value: Int) { self = .number(JSONNumber(value)) }

  /// Makes a number; `null` for infinities, which JSON cannot hold.
  public init(floatLiteral value: Double) {
    self = JSONNumber(value).map(JSONValue.number) ?? .null
  }

  /// Makes a string.
  public init(stringLiteral text: String) { self = .string(text) }

  /// Makes an array.
  public init(arrayLiteral values: JSONValue...) { self = .array(values) }

  /// Makes an object with its members in this order.
  ///
  /// - Precondition: no key is there twice.
  public init(dictionaryLiteral members: (String, JSONValue)...) {
    var object = JSONObject()
    for (key, value) in members {
      let isNew = object.append(key, value)
      precondition(isNew, "the key '\(key)' is there twice")
    }
    self = .object(object)
  }
}
