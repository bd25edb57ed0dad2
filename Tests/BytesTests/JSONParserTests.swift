import KaratBytes
import Testing

private func parse(_ text: String, depth: Int = 128) throws(JSONError) -> JSONValue {
  try JSONValue.parse(Array(text.utf8), limits: .init(depth: depth))
}

@Suite struct JSONParserTests {
  @Test func readsEveryKindOfValue() throws {
    let value = try parse(
      #" {"a": [null, true, false, -0.5e+3, 18446744073709551615], "b": {"c": ""}, "": "x"} "#
    )
    #expect(
      value == [
        "a": [
          .null, true, false, .number(try #require(parse("-0.5e+3").number)),
          .number(JSONNumber(UInt64.max)),
        ],
        "": "x", "b": ["c": ""],
      ]
    )
    #expect(value.object?.members.map(\.key) == ["a", "b", ""])
    #expect(value["a"]?.array?[3].double == -500)
    #expect(value["a"]?.array?[4].number?.uint64 == UInt64.max)
    #expect(value["a"]?.array?[4].int == nil)
    #expect(value["b"]?["c"]?.string == "")
    #expect(value["z"] == nil)
  }

  @Test func resolvesEscapes() throws {
    #expect(
      try parse(#""\"\\\/\b\f\n\r\t\u00e9\uD83D\uDE00\u0000""#).string?.utf8.elementsEqual(
        "\"\\/\u{8}\u{c}\n\r\té😀\0".utf8
      ) == true
    )
  }

  @Test func findsQuotesAtEveryPlaceOfAWord() throws {
    for length in 0..<40 {
      for filler in ["x", "é", "\u{7f}", "!", "#"] {
        let text = String(repeating: filler, count: length)
        #expect(try parse("\"\(text)\"").string == text)
        #expect(try parse("\"\(text)\\n\(text)\"").string == "\(text)\n\(text)")
        #expect(throws: JSONError.self) { try parse("\"\(text)\u{1f}\(text)\"") }
      }
    }
  }

  @Test func keepsKeysApartThatDifferByBytes() throws {
    let value = try parse(#"{"\u00e9": 1, "e\u0301": 2}"#)
    #expect(value["\u{e9}"]?.int == 1)
    #expect(value["e\u{301}"]?.int == 2)
    #expect(try parse(#""\u00e9""#) != parse(#""e\u0301""#))
  }

  @Test(arguments: [
    ("", "line 1, column 1: found the end of the text, where a value was needed."),
    ("nul", "line 1, column 4: found the end of the text, where 'null' was needed."),
    ("[1, 2", "line 1, column 6: found the end of the text, where ',' or ']' was needed."),
    ("{\n  \"é\": x}", "line 2, column 8: found 'x', where a value was needed."),
    ("{\"a\" 1}", "line 1, column 6: found '1', where ':' was needed."),
    ("{a: 1}", "line 1, column 2: found 'a', where a key in double quotes was needed."),
    ("{\"a\": 1,}", "line 1, column 9: found '}', where a key in double quotes was needed."),
    ("[1,]", "line 1, column 4: found ']', where a value was needed."),
    ("[,1]", "line 1, column 2: found ',', where a value was needed."),
    ("[1 2]", "line 1, column 4: found '2', where ',' or ']' was needed."),
    ("[] []", "line 1, column 4: found '[', where the end of the text was needed."),
    ("01", "line 1, column 1: a number may not start with a zero."),
    ("-", "line 1, column 2: found the end of the text, where a digit was needed."),
    ("1.", "line 1, column 3: found the end of the text, where a digit was needed."),
    (".5", "line 1, column 1: found '.', where a value was needed."),
    ("1e", "line 1, column 3: found the end of the text, where a digit was needed."),
    ("+1", "line 1, column 1: found '+', where a value was needed."),
    ("NaN", "line 1, column 1: found 'N', where a value was needed."),
    (
      "\"a",
      "line 1, column 3: found the end of the text, where '\"' or a character of the string"
        + " was needed."
    ),
    (
      "\"a\nb\"",
      "line 1, column 3: found the byte 0xa, where '\"' or a character of the string"
        + " was needed."
    ),
    (
      #""\x""#,
      "line 1, column 3: found 'x', where one of \"\\/bfnrtu behind the backslash was"
        + " needed."
    ),
    (#""\u12g4""#, "line 1, column 6: found 'g', where a hexadecimal digit was needed."),
    (
      #""\ud800""#,
      "line 1, column 2: this surrogate has no partner; a pair of them stands for a"
        + " character."
    ),
    (
      #""\ud800\u0041""#,
      "line 1, column 2: this surrogate has no partner; a pair of them stands"
        + " for a character."
    ),
    (
      #""\udc00\ud800""#,
      "line 1, column 2: this surrogate has no partner; a pair of them stands"
        + " for a character."
    ),
    (
      #"{"a": 1, "b": 2, "a": 3}"#,
      "line 1, column 24: the value that ends here is a second one"
        + " for the key 'a'."
    ),
    (
      "\u{feff}1",
      "line 1, column 1: found a byte order mark or other text, where a value was"
        + " needed."
    ),
  ])
  func refuses(_ text: String, _ message: String) {
    #expect { try parse(text) } throws: { "\($0)" == message }
  }

  @Test func refusesBytesThatAreNotUTF8() {
    for bytes: [UInt8] in [
      [0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x82],
    ] {
      #expect {
        try JSONValue.parse([0x22] + bytes + [0x22])
      } throws: {
        "\($0)" == "line 1, column 2: the string that starts here is not UTF-8."
      }
    }
  }

  @Test func refusesDeepNesting() throws {
    func nest(_ levels: Int) -> String {
      String(repeating: "[", count: levels) + String(repeating: "]", count: levels)
    }
    _ = try parse(nest(128))
    #expect {
      try parse(nest(129))
    } throws: {
      "\($0)" == "line 1, column 129: arrays and objects are nested too deep."
    }
    _ = try parse("[\(nest(2)), \(nest(2))]", depth: 3)
    #expect(throws: JSONError.self) { try parse(String(repeating: "[", count: 1_000_000)) }
  }

  @Test func refusesARepeatedKeyAmongMany() {
    let members = (0..<100).map { "\"k\($0)\": \($0)" }.joined(separator: ", ")
    #expect(throws: Never.self) { try parse("{\(members)}") }
    for repeated in [0, 7, 8, 9, 99] {
      #expect(throws: JSONError.self) { try parse("{\(members), \"k\(repeated)\": 0}") }
    }
  }

  @Test func neverTrapsOnDamagedText() {
    let seed = Array(#"{"a": [1.5e-3, "\u00e9\\", null], "b": {"c": true, "ü": -7}}"#.utf8)
    for length in 0..<seed.count {
      #expect(throws: JSONError.self) { try JSONValue.parse(Array(seed[..<length])) }
    }
    for place in seed.indices {
      for byte in UInt8.min...UInt8.max {
        var damaged = seed
        damaged[place] = byte
        // What is still JSON must survive its own writing.
        guard let value = try? JSONValue.parse(damaged) else { continue }
        #expect((try? JSONValue.parse(value.serialized(indent: nil))) == value)
      }
    }
  }
}
