import KaratBytes
import Testing

@Suite struct JSONValueTests {
  @Test func writesAsPythonDoes() {
    let value: JSONValue = [
      "architectures": ["LlamaForCausalLM"], "rms_norm_eps": 1e-05, "rope_theta": 10000.0,
      "empty": [], "none": [:], "tie": false, "pad": .null, "nested": ["a": [1, [2]]],
      "text": "é\"\\\n\u{1}\u{1f}\u{7f}",
    ]
    #expect(
      String(decoding: value.serialized(), as: UTF8.self) == """
        {
          "architectures": [
            "LlamaForCausalLM"
          ],
          "rms_norm_eps": 1e-05,
          "rope_theta": 10000.0,
          "empty": [],
          "none": {},
          "tie": false,
          "pad": null,
          "nested": {
            "a": [
              1,
              [
                2
              ]
            ]
          },
          "text": "é\\"\\\\\\n\\u0001\\u001f\u{7f}"
        }
        """
    )
    let compact: JSONValue = ["a": [1, "b"], "c": [:]]
    #expect(
      String(decoding: compact.serialized(indent: nil), as: UTF8.self) == #"{"a":[1,"b"],"c":{}}"#
    )
  }

  @Test func keepsNumbersAsWritten() throws {
    let text = "[1E5,1.0,-0,0.10,123456789012345678901234567890]"
    let value = try JSONValue.parse(Array(text.utf8))
    #expect(String(decoding: value.serialized(indent: nil), as: UTF8.self) == text)
    #expect(value.array?.map(\.int) == [nil, nil, 0, nil, nil])
    #expect(
      value.array?.map(\.double) == [1e5, 1, 0, 0.1, 123_456_789_012_345_677_877_719_597_056]
    )
    #expect(JSONNumber(Double.infinity) == nil)
    #expect(try JSONValue.parse(Array("1e999".utf8)).double == nil)
  }

  @Test func changesObjectsInPlace() {
    var object: JSONObject = ["a": 1, "b": 2, "c": 3]
    object["b"] = "two"
    object["d"] = 4
    object["a"] = nil
    object["missing"] = nil
    #expect(object.members.map(\.key) == ["b", "c", "d"])
    #expect(object["b"] == "two")
    #expect(object["a"] == nil)
  }

  @Test func changesLargeObjectsInPlace() {
    var object = JSONObject()
    for index in 0..<30 { object["k\(index)"] = .number(JSONNumber(index)) }
    object["k3"] = nil
    object["k4"] = "four"
    #expect(object.count == 29)
    #expect(object["k3"] == nil)
    #expect(object["k4"] == "four")
    for index in 5..<30 { #expect(object["k\(index)"]?.int == index) }
    for index in 5..<27 { object["k\(index)"] = nil }
    #expect(object.members.map(\.key) == ["k0", "k1", "k2", "k4", "k27", "k28", "k29"])
    #expect(object["k29"]?.int == 29)
  }

  @Test func comparesObjectsWithoutOrder() {
    let one: JSONValue = ["a": 1, "b": [2]]
    let other: JSONValue = ["b": [2], "a": 1]
    #expect(one == other)
    #expect(one.hashValue == other.hashValue)
    #expect(one != ["a": 1, "b": 2])
    #expect(one != ["a": 1])
  }
}
