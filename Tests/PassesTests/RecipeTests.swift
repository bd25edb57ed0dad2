import Foundation
import KaratBytes
import KaratPasses
import KaratTensors
import KaratTestSupport
import Testing

@Suite struct Recipes {
  private func recipe(_ yaml: String) throws -> Recipe { try Recipe(yaml: yaml, file: "r.yaml") }

  @Test func everythingThatCanBeSaid() throws {
    let found = try recipe(
      """
      version: 1
      seed: 7
      model: m
      output: o
      calibration: c.txt
      passes:
        - smooth-quant: { alpha: search }
        - smooth-quant: { alpha: 0.5 }
        - calibrate: { observer: moving-average, windows: 12, length: 34 }
        - quantize-weights: { bits: 8, granularity: channel }
        - quantize-activations
      ignore: ["lm_head", "re:.*mlp\\\\.gate$"]
      verify: { max-drop: 0.8%, data: h.txt, window: 128, windows: 9 }
      """
    )
    #expect(found.seed == 7)
    #expect(found.files.model == "m")
    #expect(found.files.output == "o")
    #expect(found.files.calibration == "c.txt")
    #expect(
      found.passes.map { type(of: $0).name } == [
        "smooth-quant", "smooth-quant", "calibrate", "quantize-weights", "quantize-activations",
      ]
    )
    #expect((found.passes[0] as? SmoothQuant)?.alpha == .search)
    #expect((found.passes[1] as? SmoothQuant)?.alpha == .fixed(0.5))
    let calibrate = try #require(found.passes[2] as? Calibrate)
    #expect(calibrate.observer == .movingAverage)
    #expect(calibrate.windows == 12)
    #expect(calibrate.length == 34)
    #expect(found.passes[3] as? QuantizeWeights == QuantizeWeights())
    #expect(found.passes[4] as? QuantizeActivations == QuantizeActivations())
    #expect(found.ignored == ["lm_head", "re:.*mlp\\.gate$"])
    #expect(found.verification?.maximumDrop.map { abs($0 - 0.008) < 1e-12 } == true)
    #expect(found.verification?.data == "h.txt")
    #expect(found.verification?.window == 128)
    #expect(found.verification?.windows == 9)
    #expect(found.needsCalibrationText)
    #expect(try !recipe("version: 1\npasses: [quantize-weights]").needsCalibrationText)
  }

  struct Fault: Sendable, CustomTestStringConvertible {
    let yaml: String
    let message: String
    init(_ yaml: String, _ message: String) { (self.yaml, self.message) = (yaml, message) }
    var testDescription: String { message }
  }

  private static let known =
    "Known: version, seed, model, output, calibration, passes, ignore, verify."
  private static let passes =
    "Known: \(allPasses.map { $0.name }.joined(separator: ", "))."

  @Test(arguments: [
    Fault("", "the recipe is empty."),
    Fault("# nothing\n", "the recipe is empty."),
    Fault("- a", "the recipe is '- a'; keys and values are needed."),
    Fault("passes: [calibrate]", "'version' is not there. Write: version: 1"),
    Fault("version: 2\npasses: [calibrate]", "'version' is '2'; this Karat reads version 1."),
    Fault("version: 1", "'passes' is not a list; it names the passes in order."),
    Fault("version: 1\npasses: []", "'passes' is empty; name at least one pass."),
    Fault(
      "version: 1\npases: [calibrate]",
      "the recipe has no 'pases'. Did you mean 'passes'? \(known)"
    ),
    Fault(
      "version: 1\nxyzzyxyzzy: 3\npasses: [calibrate]",
      "the recipe has no 'xyzzyxyzzy'. \(known)"
    ),
    Fault(
      "version: 1\npasses: [calibrat]",
      "no pass is named 'calibrat'. Did you mean 'calibrate'? \(passes)"
    ),
    Fault(
      "version: 1\npasses:\n  - quantize-weights: { bit: 8 }",
      "'quantize-weights' has no 'bit'. Did you mean 'bits'? Known: \(QuantizeWeights.optionNames.joined(separator: ", "))."
    ),
    Fault(
      "version: 1\npasses:\n  - [calibrate]",
      "a pass is written as its name, or as 'name: { option: value }', not '- calibrate'."
    ),
    Fault(
      "version: 1\npasses: [calibrate]\nignore: lm_head",
      "'ignore' is 'lm_head'; a list of layer names or re: patterns is needed."
    ),
    Fault(
      "version: 1\npasses: [calibrate]\nseed: -1",
      "'seed' is '-1'; a whole number from 0 is needed."
    ),
    Fault(
      "version: 1\npasses: [calibrate]\nverify: { max-drop: little }",
      "'max-drop' is 'little'; a percentage such as 0.8% or a fraction is needed."
    ),
    Fault(
      "version: 1\npasses: [calibrate]\nverify: { max-dro: 1% }",
      "'verify' has no 'max-dro'. Did you mean 'max-drop'? Known: max-drop, data, window, windows."
    ),
    Fault(
      "version: 1\npasses: [calibrate]\nverify: { window: 1 }",
      "'window' is '1'; a whole number from 2 is needed."
    ),
  ])
  func aFaultIsNamed(_ fault: Fault) {
    #expect(message { _ = try recipe(fault.yaml) } == "r.yaml: " + fault.message)
  }

  @Test(arguments: [
    ("calibrate: { windows: many }", "r.yaml: 'calibrate': 'windows' is 'many'."),
    ("calibrate: { observer: median }", "r.yaml: 'calibrate': 'observer' is 'median'."),
    ("smooth-quant: { alpha: most }", "r.yaml: 'smooth-quant': 'alpha' is 'most'."),
    (
      "quantize-activations: { symmetric: 3.5 }",
      "r.yaml: 'quantize-activations': 'symmetric' is '3.5'."
    ),
    (
      "quantize-weights: { granularity: row }",
      "r.yaml: 'quantize-weights': 'granularity' is 'row'."
    ),
  ])
  func aValueOfAnotherTypeIsNamed(_ pass: String, _ beginning: String) throws {
    let found = try #require(
      message { _ = try recipe("version: 1\npasses:\n  - \(pass)") }
    )
    #expect(found.hasPrefix(beginning), "\(found)")
    #expect(!found.contains("DecodingError") && !found.contains("CodingKey"), "\(found)")
  }

  @Test(arguments: [
    ("version: 1\nversion: 1\npasses: [calibrate]", "version"),
    ("version: 1\npasses:\n  - calibrate: { windows: 1, windows: 2 }", "windows"),
  ])
  func aKeyThatIsThereTwiceIsNamed(_ yaml: String, _ key: String) throws {
    let found = try #require(message { _ = try recipe(yaml) })
    #expect(found.hasPrefix("r.yaml: this is not YAML: "))
    #expect(found.contains("duplicated key(s): '\(key)'"))
  }

  @Test func whatIsNotYAMLIsNamed() throws {
    let found = try #require(message { _ = try recipe("version: [1\npasses: }") })
    #expect(found.hasPrefix("r.yaml: this is not YAML: "))
  }

  @Test func aliasesDoNotGrowWithoutBound() {
    // Nine levels of nine: a billion nodes if anyone expands them.
    let levels = (1...9).map { level in
      "a\(level): &a\(level) [\(Array(repeating: "*a\(level - 1)", count: 9).joined(separator: ", "))]"
    }
    let yaml =
      "a0: &a0 [x]\n" + levels.joined(separator: "\n") + "\nversion: 1\npasses: [calibrate]"
    #expect(
      message { _ = try recipe(yaml) }?.hasPrefix("r.yaml: the recipe has no 'a0'. ") == true
    )
  }

  @Test func theRecordHoldsEveryOption() throws {
    let found = try recipe(
      "version: 1\nseed: 3\npasses:\n  - calibrate: { windows: 5 }\nignore: [lm_head]"
    )
    let json = found.json
    #expect(json["version"]?.int == 1)
    #expect(json["seed"]?.int == 3)
    #expect(json["ignore"] == ["lm_head"])
    let calibrate = try #require(json["passes"]?.array?.first?["calibrate"]?.object)
    #expect(Set(calibrate.members.map(\.key)).isSuperset(of: ["observer", "windows", "length"]))
    #expect(calibrate["windows"]?.int == 5)
    #expect(calibrate["observer"]?.string == "mse")
  }
}

@Suite struct PassOptions {
  @Test func optionsSurviveJSON() throws {
    for type in allPasses { try roundTrip(type) }
    var calibrate = Calibrate()
    (calibrate.observer, calibrate.windows, calibrate.length) = (.entropy, 3, 17)
    let data = try JSONEncoder().encode(calibrate)
    #expect(try JSONDecoder().decode(Calibrate.self, from: data) == calibrate)
    var smooth = SmoothQuant()
    smooth.alpha = .fixed(0.25)
    let smoothed = try JSONEncoder().encode(smooth)
    #expect(try JSONDecoder().decode(SmoothQuant.self, from: smoothed) == smooth)
  }

  private func roundTrip<P: Pass>(_ type: P.Type) throws {
    let data = try JSONEncoder().encode(P())
    #expect(try JSONDecoder().decode(P.self, from: data) == P())
    let json = try JSONValue.parse([UInt8](data))
    // What is listed is what is written, and all of it may be left out.
    for (key, _) in json.object?.members ?? [] { #expect(P.optionNames.contains(key)) }
    #expect(try JSONDecoder().decode(P.self, from: Data("{}".utf8)) == P())
    #expect(P.name.allSatisfy { $0.isLowercase || $0 == "-" })
    #expect(P.summary.hasSuffix("."))
  }

  @Test func namesAreUnique() {
    #expect(Set(allPasses.map { $0.name }).count == allPasses.count)
    #expect(Set(Recipe.presets.map(\.name)).count == Recipe.presets.count)
    #expect(Recipe.presets.map(\.name).contains("int8"))
    #expect(Recipe.presets.map(\.name).contains("int8-weights"))
    #expect(Recipe.presets.first { $0.name == "int8" }?.recipe.needsCalibrationText == true)
    #expect(
      Recipe.presets.first { $0.name == "int8-weights" }?.recipe.needsCalibrationText == false
    )
  }
}

@Suite struct LayerFilters {
  @Test func namesAreExactAndExpressionsMatchFromTheBeginning() throws {
    let filter = try LayerFilter(["lm_head", "re:.*mlp\\.gate$", "re:model\\.layers\\.1\\."])
    #expect(filter.contains("lm_head"))
    #expect(!filter.contains("lm_head.x"))
    #expect(!filter.contains("model.lm_head"))
    #expect(filter.contains("model.layers.0.mlp.gate"))
    #expect(!filter.contains("model.layers.0.mlp.gate_proj"))
    #expect(filter.contains("model.layers.1.self_attn.q_proj"))
    #expect(!filter.contains("model.layers.12.self_attn.q_proj"))
    #expect(!LayerFilter().contains("lm_head"))
    #expect(
      message { _ = try LayerFilter(["re:(open"]) }
        == "ignore: 're:(open' is not a regular expression behind 're:'."
    )
  }
}
