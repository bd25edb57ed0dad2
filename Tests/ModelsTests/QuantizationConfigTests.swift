import Karat
import KaratArchitectures
import KaratBytes
import KaratGraphs
import KaratModels
import KaratTensors
import KaratTestSupport
import Testing

@Suite struct QuantizationConfigs {
  /// The object under `quantization_config` of a config that says nothing else.
  private func read(_ json: String) throws -> QuantizationConfig? {
    var config = JSONObject()
    config["quantization_config"] = try JSONValue.parse([UInt8](json.utf8))
    return try QuantizationConfig(config, file: "config.json")
  }

  private static let weights =
    #"{"num_bits":8,"type":"int","symmetric":true,"strategy":"channel","dynamic":false}"#
  private static let activations =
    #"{"num_bits":8,"type":"int","symmetric":false,"strategy":"tensor","dynamic":false}"#

  /// A config with one group, parts of it replaced.
  private func config(
    method: String = "compressed-tensors",
    format: String = "int-quantized",
    group: String =
      #"{"targets":["Linear"],"weights":\#(weights),"input_activations":\#(activations)}"#,
    ignore: String = #"["lm_head"]"#,
    cache: String = "null"
  ) -> String {
    """
    {"quant_method":"\(method)","format":"\(format)","quantization_status":"compressed",\
    "config_groups":{"group_0":\(group)},"ignore":\(ignore),"kv_cache_scheme":\(cache)}
    """
  }

  @Test func itIsWrittenWithTheKeysThatEveryReaderAccepts() throws {
    let graph = try model("llama-tiny").graph
    let quantized = try graph.withQuantizedWeights(of: Self.blocks(graph), .int8Weights)
      .withQuantizedActivations(
        leaders: Dictionary(uniqueKeysWithValues: Self.blocks(graph).map { ($0, $0) }),
        .int8Activations
      )
    let json = try #require(QuantizationConfig(describing: quantized)?.json)
    #expect(
      String(decoding: json.serialized(indent: 2), as: UTF8.self) == """
        {
          "quant_method": "compressed-tensors",
          "format": "int-quantized",
          "quantization_status": "compressed",
          "config_groups": {
            "group_0": {
              "targets": [
                "Linear"
              ],
              "weights": {
                "num_bits": 8,
                "type": "int",
                "symmetric": true,
                "strategy": "channel",
                "dynamic": false
              },
              "input_activations": {
                "num_bits": 8,
                "type": "int",
                "symmetric": false,
                "strategy": "tensor",
                "dynamic": false
              }
            }
          },
          "ignore": [
            "lm_head"
          ],
          "kv_cache_scheme": null
        }
        """
    )
    // Read back, it is what was described.
    #expect(
      try read(String(decoding: json.serialized(indent: nil), as: UTF8.self))
        == QuantizationConfig(describing: quantized)
    )
  }

  /// The linear layers of the blocks.
  private static func blocks(_ graph: Graph) -> Set<TensorName> {
    Set(graph.linearLayers.filter { $0.block != nil }.map(\.path))
  }

  private func model(_ name: String) throws -> Model { try LoadedModel.open(fixture(name)).model }

  @Test func aFloatModelHasNone() throws {
    #expect(QuantizationConfig(describing: try model("llama-tiny").graph) == nil)
    var config = JSONObject()
    #expect(try QuantizationConfig(config, file: "config.json") == nil)
    config["quantization_config"] = .null
    #expect(try QuantizationConfig(config, file: "config.json") == nil)
  }

  @Test func layersQuantizedDifferentlyAreGroupsByName() throws {
    let graph = try model("llama-tiny").graph
    let path: TensorName = "model.layers.1.mlp.down_proj"
    let all = Self.blocks(graph)
    let leaders = Dictionary(
      uniqueKeysWithValues: all.filter { $0 != path }.map { ($0, $0) }
    )
    let quantized = try graph.withQuantizedWeights(of: all, .int8Weights)
      .withQuantizedActivations(leaders: leaders, .int8Activations)
    let config = try #require(QuantizationConfig(describing: quantized))
    #expect(config.groups.count == 2)
    // Blocks 0 and 2 have a down_proj of their own name; the six other names hold for all blocks.
    #expect(config.groups[0].targets.count == 8)
    #expect(config.groups[0].activations == .int8Activations)
    #expect(config.groups[1].targets.map(\.text) == [path.text])
    #expect(config.groups[1].activations == nil)
    #expect(config.ignored.map(\.text) == ["lm_head"])
  }

  @Test func groupsThatHoldForAllBlocksAreNamedByPatterns() throws {
    let graph = try model("llama-tiny").graph
    let all = Self.blocks(graph)
    func isDown(_ path: TensorName) -> Bool { path.text.hasSuffix("down_proj") }
    let dynamic = Dictionary(uniqueKeysWithValues: all.filter(isDown).map { ($0, $0) })
    let fixed = Dictionary(uniqueKeysWithValues: all.filter { !isDown($0) }.map { ($0, $0) })
    let quantized = try graph.withQuantizedWeights(of: all, .int8Weights)
      .withQuantizedActivations(leaders: fixed, .int8Activations)
      .withQuantizedActivations(leaders: dynamic, .int8Tokens)
    let config = try #require(QuantizationConfig(describing: quantized))
    #expect(config.groups.map(\.activations) == [.int8Tokens, .int8Activations])
    #expect(
      config.groups[1].targets.map(\.text)
        == ["q", "k", "v", "o"].map { #"re:model\.layers\.\d+\.self_attn\."# + $0 + "_proj$" }
        + ["gate", "up"].map { #"re:model\.layers\.\d+\.mlp\."# + $0 + "_proj$" }
    )
    #expect(config.groups[0].targets.map(\.text) == [#"re:model\.layers\.\d+\.mlp\.down_proj$"#])
    // Read back from its text, it gives the graph that it describes.
    let text = String(decoding: config.json.serialized(indent: nil), as: UTF8.self)
    #expect(text.contains(#""symmetric":true,"strategy":"token","dynamic":true"#))
    let ranges = MemorySource(
      Dictionary(
        uniqueKeysWithValues: graph.linearLayers.flatMap { layer in
          [
            (layer.inputScale, Tensor([Float(layer.place)])),
            (layer.inputZeroPoint, Tensor(.i8, [1], copying: [3] as [Int8])),
          ]
        }
      )
    )
    let back = try #require(try read(text)).applied(to: graph, source: ranges, file: "m")
    #expect(back == quantized)
  }

  @Test func targetsAreNamesExpressionsOrTheClass() throws {
    let groups = """
      {"a":{"targets":["re:.*self_attn\\\\.(q|k|v|o)_proj$"],"weights":\(Self.weights),"input_activations":\(Self.activations)},
       "b":{"targets":["model.layers.2.mlp.up_proj"],"weights":\(Self.weights)}}
      """
    let config = """
      {"quant_method":"compressed-tensors","format":"int-quantized","config_groups":\(groups),
       "ignore":["re:model\\\\.layers\\\\.0\\\\..*"]}
      """
    let read = try #require(try read(config))
    let graph = try model("llama-tiny").graph
    let codes = MemorySource(
      Dictionary(
        uniqueKeysWithValues: graph.linearLayers.flatMap { layer in
          [
            (layer.inputScale, Tensor([0.5])),
            (layer.inputZeroPoint, Tensor(.i8, [1], copying: [3] as [Int8])),
          ]
        }
      )
    )
    let applied = try read.applied(to: graph, source: codes, file: "m")
    try applied.check()
    let integer = applied.nodes.filter { $0.op.operation.name == "integer_linear" }.map(\.path.text)
    #expect(
      integer.sorted()
        == [1, 2].flatMap { layer in
          ["k", "o", "q", "v"].map { "model.layers.\(layer).self_attn.\($0)_proj" }
        }
    )
    #expect(applied.linearLayers.filter(\.hasCodes).map(\.path) == ["model.layers.2.mlp.up_proj"])
  }

  @Test func whatIsNotSupportedIsNamed() throws {
    func refusal(_ json: String) -> String? { message { _ = try read(json) } }
    #expect(
      refusal(config(method: "awq"))
        == "config.json: 'quantization_config': the method is 'awq'; supported is 'compressed-tensors'."
    )
    #expect(
      refusal("{}")
        == "config.json: 'quantization_config': the method is 'not named'; supported is 'compressed-tensors'."
    )
    #expect(
      refusal(config(format: "pack-quantized"))
        == "config.json: 'quantization_config': the format is 'pack-quantized'; supported is 'int-quantized'."
    )
    #expect(
      refusal(config(cache: "{}"))
        == "config.json: 'quantization_config': 'kv_cache_scheme' is set; supported is null."
    )
    let grouped = Self.weights.replacing("channel", with: "group")
    #expect(
      refusal(config(group: #"{"targets":["Linear"],"weights":\#(grouped)}"#))
        == "config.json: 'quantization_config': the weights of group 'group_0' are \(grouped); supported is 8-bit or 4-bit int, symmetric, strategy 'channel'."
    )
    let three = Self.weights.replacing("8", with: "3")
    #expect(
      refusal(config(group: #"{"targets":["Linear"],"weights":\#(three)}"#))
        == "config.json: 'quantization_config': the weights of group 'group_0' are \(three); supported is 8-bit or 4-bit int, symmetric, strategy 'channel'."
    )
    // Symmetric ones run; asymmetric ones do not.
    let dynamic = Self.activations.replacing("tensor", with: "token")
      .replacing(#""dynamic":false"#, with: #""dynamic":true"#)
    #expect(
      refusal(
        config(
          group:
            #"{"targets":["Linear"],"weights":\#(Self.weights),"input_activations":\#(dynamic)}"#
        )
      )
        == "config.json: 'quantization_config': the activations of group 'group_0' are \(dynamic); supported is 8-bit int: strategy 'tensor', not dynamic, or strategy 'token', dynamic and symmetric."
    )
    #expect(
      refusal(
        config(
          group:
            #"{"targets":["Linear"],"weights":\#(Self.weights),"output_activations":{}}"#
        )
      )
        == "config.json: 'quantization_config': group 'group_0' quantizes 'output_activations'; supported is null."
    )
    #expect(
      refusal(config(group: #"{"weights":\#(Self.weights)}"#))
        == "config.json: 'quantization_config', group 'group_0': 'targets' and 'weights' are needed."
    )
    #expect(
      refusal(
        #"{"quant_method":"compressed-tensors","format":"int-quantized","config_groups":{}}"#
      )
        == "config.json: 'quantization_config' has no 'config_groups', so nothing says what is quantized."
    )
    #expect(
      refusal("7") == "config.json: 'quantization_config' is a number; an object is needed."
    )
    #expect(
      refusal(config(ignore: #"["re:(open"]"#))
        == "config.json: 'quantization_config': 're:(open' is not a regular expression behind 're:'."
    )
  }
}
