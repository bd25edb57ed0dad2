import Foundation
import KaratBytes
import KaratTokenizers
import Testing

/// The files under `fixtures/`.
enum Fixture {
  private static let folder = URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "fixtures")

  static func bytes(_ path: String) throws -> [UInt8] {
    Array(try Data(contentsOf: folder.appending(path: path)))
  }

  static func text(_ path: String) throws -> String {
    String(decoding: try bytes(path), as: UTF8.self)
  }

  static func json(_ path: String) throws -> JSONValue { try JSONValue.parse(try bytes(path)) }

  static func tokenizer(_ path: String) throws -> Tokenizer {
    try Tokenizer(json: try bytes(path), file: path)
  }
}

/// Whether two texts have the same bytes: `==` would take é in one and in two scalars as equal.
func haveEqualBytes(_ left: String, _ right: String) -> Bool {
  Array(left.utf8) == Array(right.utf8)
}

extension JSONValue {
  var strings: [String] { (array ?? []).compactMap(\.string) }
  var ids: [Int32] { (array ?? []).compactMap { $0.int.map(Int32.init) } }
}

/// A document of a tokenizer whose other parts do nothing.
func document(
  _ parts: [String: JSONValue] = [:],
  model: JSONValue = ["type": "WordLevel", "vocab": ["x": 0], "unk_token": "x"]
) -> JSONValue {
  var members: JSONObject = ["model": model]
  for (key, value) in parts { members[key] = value }
  return .object(members)
}
