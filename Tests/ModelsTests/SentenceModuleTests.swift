import Foundation
import Karat
import KaratBytes
import KaratGraphs
import KaratModels
import KaratTensors
import KaratTestSupport
import Testing

/// What modules.json and the files that it names make of an encoder.
@Suite struct SentenceModules {
  private static func module(_ index: Int, _ path: String, _ kind: String) -> String {
    #"{"idx":\#(index),"name":"\#(index)","path":"\#(path)","type":"sentence_transformers.models.\#(kind)"}"#
  }
  private static let three = [
    module(0, "", "Transformer"), module(1, "1_Pooling", "Pooling"),
    module(2, "2_Normalize", "Normalize"),
  ]

  /// The operations behind the last hidden state, or the message.
  private func tail(_ modules: [String]?, pooling: String? = nil) throws -> String {
    var result = ""
    try inTemporaryFolder { folder in
      let path = try EditedModel("bert-tiny").write(to: folder + "/m")
      if let modules {
        let text = "[" + modules.joined(separator: ",") + "]"
        try Data(text.utf8).write(to: URL(filePath: path + "/modules.json"))
      }
      if let pooling {
        try FileManager.default.createDirectory(
          atPath: path + "/1_Pooling",
          withIntermediateDirectories: true
        )
        try Data(pooling.utf8).write(to: URL(filePath: path + "/1_Pooling/config.json"))
      }
      let refusal = message(in: folder) {
        let graph = try LoadedModel.open(path).model.graph
        var value = graph.named["sentence_embedding"]
        var names: [String] = []
        while let place = value, place != graph.named["last_hidden_state"] {
          let operation = graph.node(of: place).op.operation
          names.append(
            ([operation.name] + operation.attributes.map(\.value)).joined(separator: " ")
          )
          value = graph.node(of: place).inputs.first
        }
        result = names.reversed().joined(separator: ", ")
      }
      result = refusal ?? result
    }
    return result
  }

  @Test func theyDecideHowTokensBecomeAText() throws {
    #expect(try tail(nil) == "pooling mean")
    #expect(try tail(Self.three) == "pooling mean, unit_length")
    #expect(try tail([Self.three[0]]) == "pooling mean")
    for (mode, name) in [
      ("cls_token", "first_token"), ("mean_tokens", "pooling mean"), ("max_tokens", "pooling max"),
      ("mean_sqrt_len_tokens", "pooling mean_over_root"),
    ] {
      let config = #"{"pooling_mode_\#(mode)": true, "pooling_mode_weightedmean_tokens": false}"#
      #expect(try tail(Array(Self.three.prefix(2)), pooling: config) == name)
    }
    #expect(try tail(Self.three, pooling: #"{"pooling_mode":"cls"}"#) == "first_token, unit_length")
  }

  @Test func whatIsNotComputedIsRefused() throws {
    #expect(
      try tail(Self.three + [Self.module(3, "3_Dense", "Dense")])
        == "m/modules.json: the module 'sentence_transformers.models.Dense' is not supported. Supported: Transformer, Pooling, Normalize."
    )
    #expect(
      try tail([Self.three[0], Self.three[2]])
        == "m/modules.json: the modules are Transformer, Normalize; Transformer, then Pooling, then Normalize is what is computed."
    )
    #expect(
      try tail(
        Self.three,
        pooling: #"{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": true}"#
      )
        == "m/1_Pooling/config.json: the pooling is cls_token and mean_tokens; one of cls_token, mean_tokens, max_tokens and mean_sqrt_len_tokens is supported."
    )
    #expect(
      try tail(Self.three, pooling: #"{"pooling_mode":"lasttoken"}"#)
        == "m/1_Pooling/config.json: the pooling is lasttoken; one of cls_token, mean_tokens, max_tokens and mean_sqrt_len_tokens is supported."
    )
  }

  @Test func aTextIsAsLongAsTheFilesAllow() throws {
    try inTemporaryFolder { folder in
      let path = try EditedModel("bert-tiny").write(to: folder + "/m")
      #expect(try LoadedModel.open(path).maximumLength == 128)
      #expect(try LoadedModel.open(path).isEncoder)
      for (length, expected) in [(40, 40), (512, 128)] {
        try Data(#"{"max_seq_length": \#(length)}"#.utf8)
          .write(to: URL(filePath: path + "/sentence_bert_config.json"))
        #expect(try LoadedModel.open(path).maximumLength == expected)
      }
    }
  }
}

@Suite struct WeightsOfSmallTypes {
  /// A folder whose weights are rounded, and the numbers that they stand for.
  private func logits(_ folder: String) throws -> [Float] {
    try Executor(try LoadedModel.open(folder).model).logits([5, 17, 300, 2])
      .elements(as: Float.self)
  }

  /// Four bits of exponent, whose bias is 7, and three of mantissa.
  private func value(ofE4M3 code: UInt8) -> Float {
    let significand = 1 + Float(code & 7) / 8
    let size = Float(sign: .plus, exponent: (Int(code >> 3) & 15) - 7, significand: significand)
    return code >= 0x80 ? -size : size
  }

  @Test(arguments: ["qwen2-tiny", "qwen3-tiny", "mistral-tiny"])
  func blocksOfFloat8RunAsTheNumbersThatTheyStandFor(_ name: String) throws {
    try inTemporaryFolder { folder in
      var coded = try EditedModel(name)
      var plain = coded
      for (weight, tensor) in coded.tensors
      where weight.text.hasSuffix("proj.weight") && tensor.shape.rank == 2 {
        let codes: [UInt8] = (0..<tensor.shape.elementCount).map { index in
          let sign: UInt8 = index % 3 == 0 ? 0x80 : 0
          return sign + 0x20 + UInt8(index % 29)
        }
        let grid = (rows: (tensor.shape[0] + 15) / 16, columns: (tensor.shape[1] + 15) / 16)
        let scales: [Float] = (0..<grid.rows * grid.columns).map { Float($0 % 5 + 10) / 1000 }
        coded.tensors[weight] = Tensor(.f8E4M3, tensor.shape, copying: codes)
        coded.tensors[TensorName(weight.text + "_scale_inv")] = Tensor(
          scales,
          shape: [grid.rows, grid.columns]
        )
        let width = tensor.shape[1]
        plain.tensors[weight] = Tensor(
          codes.indices.map { (index: Int) -> Float in
            let (row, column) = (index / width, index % width)
            return value(ofE4M3: codes[index]) * scales[row / 16 * grid.columns + column / 16]
          },
          shape: tensor.shape
        )
      }
      coded.config["quantization_config"] = [
        "quant_method": "fp8", "weight_block_size": [16, 16], "activation_scheme": "dynamic",
      ]
      let (found, wanted) = (
        try coded.write(to: folder + "/coded"), try plain.write(to: folder + "/plain")
      )
      #expect(try logits(found) == logits(wanted))
      let model = try LoadedModel.open(found)
      #expect(model.byteCount < (try LoadedModel.open(wanted)).byteCount)
      // What is written of it says nothing of codes that are no longer there.
      try ModelWriter().write(
        model.model,
        from: model,
        record: ModelRecord(command: "test"),
        to: folder + "/written"
      )
      #expect(try LoadedModel.open(folder + "/written").config["quantization_config"] == nil)
      #expect(try logits(folder + "/written") == logits(wanted))
    }
  }
}
