import Karat
import KaratGraphs
import KaratPasses
import KaratTensors
import KaratTestSupport
import Testing

@Suite struct Calibrating {
  private func calibrate(_ observer: Observer = .minmax) -> Calibrate {
    var pass = Calibrate()
    (pass.observer, pass.windows, pass.length) = (observer, 4, 64)
    return pass
  }

  @Test func layersThatReadOneValueHaveOneRange() throws {
    let calibrated = try calibrate().apply(to: try model("llama-tiny"), in: try context(320))
    let ranges = try #require(calibrated.calibration?.ranges)
    #expect(Set(ranges.keys) == Set(calibrated.graph.linearLayers.map(\.path.text)))
    for layer in 0..<3 {
      let path = "model.layers.\(layer)."
      #expect(ranges[path + "self_attn.q_proj"] == ranges[path + "self_attn.v_proj"])
      #expect(ranges[path + "mlp.gate_proj"] == ranges[path + "mlp.up_proj"])
    }
  }

  @Test func minmaxIsWhatTheWholeRunShows() throws {
    let tiny = try model("llama-tiny")
    var small = calibrate()
    small.windows = 1
    let window = try context(320, 64)
    let ranges = try small.apply(to: tiny, in: window).calibration?.ranges
    let executor = Executor(tiny)
    for layer in tiny.graph.linearLayers {
      let input = try executor.ids([window.calibrationTokens])
      try executor.run(
        given: [try executor.value(named: "input_ids"): input],
        binding: Binding(batch: 1, length: 64),
        wanted: [layer.input]
      ) { _, operand in
        let numbers = operand.copied().elements(as: Float.self)
        let expected = QuantizationRange(
          spanning: numbers.min() ?? .nan,
          numbers.max() ?? .nan
        )
        #expect(ranges?[layer.path.text] == expected, "\(layer.path)")
      }
    }
  }

  @Test func ignoredLayersHaveNoRange() throws {
    let calibrated = try calibrate().apply(
      to: try model("llama-tiny"),
      in: try context(320, ignored: ["lm_head", "re:.*down_proj"])
    )
    let paths = try #require(calibrated.calibration?.ranges.keys)
    #expect(paths.count == 18)
    #expect(
      message {
        _ = try calibrate().apply(
          to: try model("llama-tiny"),
          in: try context(320, ignored: ["re:.*"])
        )
      } == "calibrate: no linear layer is left to calibrate after 'ignore'."
    )
  }

  @Test func anActivationThatIsConstantIsCalibrated() throws {
    // A norm of zeros gives zeros, and so do all layers behind it.
    var edited = try EditedModel("llama-tiny")
    edited.edit("model.layers.1.input_layernorm.weight") { $0 = $0.map { _ in 0 } }
    var zeros = try model("llama-tiny")
    zeros.source = edited.source
    for observer in Observer.allCases {
      let calibrated = try calibrate(observer).apply(to: zeros, in: try context(320))
      #expect(
        calibrated.calibration?.ranges["model.layers.1.self_attn.q_proj"]
          == QuantizationRange(scale: 1, zeroPoint: 0)
      )
      let headless = try context(320, ignored: ["lm_head"])
      let quantized = try QuantizeActivations().apply(
        to: try QuantizeWeights().apply(to: calibrated, in: headless),
        in: headless
      )
      let logits = try Executor(quantized).logits([1, 2, 3]).elements(as: Float.self)
      #expect(logits.allSatisfy { $0.isFinite })
    }
  }

  @Test(arguments: [Float.nan, .infinity])
  func brokenActivationsAreNamed(_ broken: Float) throws {
    var edited = try EditedModel("llama-tiny")
    edited.set("model.layers.1.mlp.up_proj.weight", at: 3, to: broken)
    var tiny = try model("llama-tiny")
    tiny.source = edited.source
    #expect(
      message { _ = try calibrate().apply(to: tiny, in: try context(320)) }
        == "calibrate: window 0: what 'model.layers.1.mlp.down_proj' reads holds NaN or infinity, so no range can hold it. Does the model overflow, or is a weight broken? Try: karat inspect --tensors."
    )
  }
}

@Suite struct Quantizing {
  @Test func theLargestWeightOfAChannelIsCode127() throws {
    let tiny = try model("llama-tiny")
    let quantized = try QuantizeWeights().apply(
      to: tiny,
      in: try context(320, ignored: ["lm_head"])
    )
    #expect(quantized.graph.linearLayers.filter(\.hasCodes).count == 21)
    for layer in quantized.graph.linearLayers where layer.hasCodes {
      let weight = try tiny.source.tensor(layer.weight)
      let (rows, columns) = (weight.shape[0], weight.shape[1])
      let floats = weight.elements(as: Float.self)
      let codes = try quantized.source.tensor(layer.weight)
      let scales = try quantized.source.tensor(layer.weightScale)
      #expect(codes.dtype == .i8 && codes.shape == weight.shape)
      #expect(scales.shape == [rows, 1])
      let (found, steps) = (codes.elements(as: Int8.self), scales.elements(as: Float.self))
      for row in 0..<rows {
        let values = floats[row * columns..<(row + 1) * columns]
        let largest = values.reduce(0) { max($0, abs($1)) }
        #expect(steps[row] == largest / 127)
        for (column, value) in values.enumerated() {
          let code = (value / steps[row]).rounded(.toNearestOrEven)
          #expect(Float(found[row * columns + column]) == code)
        }
        #expect(found[row * columns..<(row + 1) * columns].contains { abs(Int($0)) == 127 })
      }
    }
  }

  @Test func aRowOfZerosHasAScale() throws {
    var edited = try EditedModel("llama-tiny")
    let name: TensorName = "model.layers.0.self_attn.o_proj.weight"
    edited.edit(name) { $0.replaceSubrange(64..<128, with: Array(repeating: 0, count: 64)) }
    var tiny = try model("llama-tiny")
    tiny.source = edited.source
    let quantized = try QuantizeWeights().apply(
      to: tiny,
      in: try context(320, ignored: ["lm_head"])
    )
    let scales = try quantized.source.tensor("model.layers.0.self_attn.o_proj.weight_scale")
    #expect(scales.elements(as: Float.self)[1] == 1)
    let codes = try quantized.source.tensor(name).rows(1..<2).elements(as: Int8.self)
    #expect(codes.allSatisfy { $0 == 0 })
  }

  @Test(arguments: [Float.nan, .infinity, -.infinity])
  func brokenWeightsAreNamed(_ broken: Float) throws {
    var edited = try EditedModel("llama-tiny")
    edited.set("model.layers.2.self_attn.k_proj.weight", at: 64 * 7 + 1, to: broken)
    var tiny = try model("llama-tiny")
    tiny.source = edited.source
    let quantized = try QuantizeWeights().apply(
      to: tiny,
      in: try context(320, ignored: ["lm_head"])
    )
    for tensor in ["weight", "weight_scale"] {
      #expect(
        message {
          _ = try quantized.source.tensor(TensorName("model.layers.2.self_attn.k_proj." + tensor))
        }
          == "'model.layers.2.self_attn.k_proj.weight': row 7 holds NaN or infinity, which no scale can represent. Mend the checkpoint, or leave the layer out with ignore."
      )
    }
    #expect(try quantized.source.tensor("model.layers.2.self_attn.q_proj.weight").dtype == .i8)
  }

  @Test func optionsThatCannotBeAreRefused() throws {
    let tiny = try model("llama-tiny")
    var weights = QuantizeWeights()
    weights.bits = 3
    #expect(
      message { _ = try weights.apply(to: tiny, in: try context(320)) }
        == "quantize-weights: bits is 3; weights can be quantized to 8 or 4."
    )
    (weights.bits, weights.granularity) = (8, .tensor)
    #expect(
      message { _ = try weights.apply(to: tiny, in: try context(320)) }
        == "quantize-weights: granularity is 'tensor'; weights share a scale by 'channel'."
    )
    var activations = QuantizeActivations()
    activations.granularity = .channel
    #expect(
      message { _ = try activations.apply(to: tiny, in: try context(320)) }
        == "quantize-activations: granularity is 'channel'; activations share a scale by 'tensor' or 'token'."
    )
    (activations.granularity, activations.symmetric) = (.token, false)
    #expect(
      message { _ = try activations.apply(to: tiny, in: try context(320)) }
        == "quantize-activations: symmetric is false; tokens, whose scales are found while the model runs, are symmetric."
    )
    #expect(
      message { _ = try QuantizeActivations().apply(to: tiny, in: try context(320)) }
        == "quantize-activations: the model has no calibrated ranges. Put 'calibrate' before this pass, or quantize by token: granularity: token."
    )
    #expect(
      message { _ = try QuantizeWeights().apply(to: tiny, in: try context(320)) }
        == "quantize-weights: 'lm_head' shares its weight 'model.embed_tokens.weight' with another operation, which needs it in float. Leave the layer out: ignore: ['lm_head']."
    )
    var calibrate = Calibrate()
    (calibrate.windows, calibrate.length) = (1, 64)
    let partly = try calibrate.apply(
      to: tiny,
      in: try context(320, ignored: ["lm_head", "model.layers.0.mlp.up_proj"])
    )
    #expect(
      message {
        _ = try QuantizeActivations().apply(to: partly, in: try context(320, ignored: ["lm_head"]))
      }
        == "quantize-activations: 'model.layers.0.mlp.up_proj' has no calibrated range. Was it ignored in calibration? Ignore it here too, or calibrate again."
    )
  }

  @Test(arguments: [false, true])
  func aQuantizedModelIsNearTheFloatOne(_ isSymmetric: Bool) throws {
    let alice = try model("alice")
    var calibrate = Calibrate()
    (calibrate.windows, calibrate.length) = (4, 64)
    var activations = QuantizeActivations()
    activations.symmetric = isSymmetric
    let headless = try context(1024, ignored: ["lm_head"])
    let calibrated = try calibrate.apply(to: alice, in: headless)
    let weightsFirst = try activations.apply(
      to: try QuantizeWeights().apply(to: calibrated, in: headless),
      in: headless
    )
    let activationsFirst = try QuantizeWeights().apply(
      to: try activations.apply(to: calibrated, in: headless),
      in: headless
    )
    #expect(weightsFirst.graph == activationsFirst.graph)
    let prompt = tokens(64, below: 1024, seed: 3)
    let found = try Executor(weightsFirst).logits(prompt)
    #expect(found.isIdentical(to: try Executor(activationsFirst).logits(prompt)))
    let error = relativeError(
      found.elements(as: Float.self),
      try Executor(alice).logits(prompt).elements(as: Float.self)
    )
    #expect(error > 1e-4 && error < 0.2)
  }

  @Test func tokensAreQuantizedInIntegersByScalesOfTheirOwn() throws {
    let tiny = try model("llama-tiny")
    let headless = try context(320, ignored: ["lm_head"])
    let weights = try QuantizeWeights().apply(to: tiny, in: headless)
    let pass = QuantizeActivations(granularity: .token)
    let quantized = try pass.apply(to: weights, in: headless)
    try quantized.graph.check()
    let other = try QuantizeWeights().apply(to: pass.apply(to: tiny, in: headless), in: headless)
    #expect(quantized.graph == other.graph)
    // q, k and v read one value, and so do gate and up: 4 sets of codes in each of 3 blocks.
    let names = quantized.graph.nodes.map(\.op.operation.name)
    #expect(names.count { $0 == "quantize" } == 12)
    #expect(names.count { $0 == "integer_linear" } == 21)
    // Nothing but the weights has tensors.
    #expect(Set(quantized.source.manifest.names) == Set(weights.source.manifest.names))

    // One layer by hand: codes by the row's own scale, an exact sum, one product of scales.
    let layer = try #require(tiny.graph.linearLayers.first)
    let q = try #require(
      quantized.graph.nodes.firstIndex {
        $0.path == layer.path && $0.op.operation.name == "integer_linear"
      }
    )
    let x = try #require(quantized.graph.nodes[q].inputs.first).node
    let input = quantized.graph.nodes[x].inputs[0]
    let executor = Executor(quantized)
    var found: [ValueID: [Float]] = [:]
    try executor.run(
      given: [try executor.value(named: "input_ids"): try executor.ids([[3, 1, 4, 1, 5]])],
      binding: Binding(batch: 1, length: 5),
      wanted: [input, ValueID(node: q)]
    ) { value, operand in found[value] = operand.copied().elements(as: Float.self) }
    let rows = try #require(found[input])
    let outputs = try #require(found[ValueID(node: q)])
    let codes = try quantized.source.tensor(layer.weight).elements(as: Int8.self)
    let scales = try quantized.source.tensor(layer.weightScale).elements(as: Float.self)
    let features = rows.count / 5
    for row in 0..<5 {
      let x = rows[row * features..<(row + 1) * features]
      let scale = x.reduce(0) { max($0, abs($1)) } / 127
      let steps = x.map { Int(($0 / scale).rounded(.toNearestOrEven)) }
      for (output, weightScale) in scales.enumerated() {
        let sum = steps.enumerated().reduce(0) { $0 + $1.1 * Int(codes[output * features + $1.0]) }
        #expect(outputs[row * scales.count + output] == Float(sum) * (scale * weightScale))
      }
    }
  }

  @Test func tokensWithoutQuantizedWeightsRunInFloat() throws {
    let alice = try model("alice")
    let headless = try context(1024, ignored: ["lm_head"])
    let quantized = try QuantizeActivations(granularity: .token).apply(to: alice, in: headless)
    let prompt = tokens(64, below: 1024, seed: 3)
    let error = relativeError(
      try Executor(quantized).logits(prompt).elements(as: Float.self),
      try Executor(alice).logits(prompt).elements(as: Float.self)
    )
    #expect(error > 1e-4 && error < 0.1)
  }
}
