import Foundation
import Karat
import KaratTestSupport
import Testing

extension Command {
  /// Files of token ids in place of texts: models without a tokenizer go down the river too.
  @Suite struct TokenFiles {
    private static let model = "deepseek-v3-fp8-tiny"

    /// Lines of random ids; all of one id where there is no seed.
    private func ids(_ seed: UInt64?, lines: Int, _ place: Workplace, as name: String) throws {
      var random = Numbers(seed: seed ?? 0)
      let lines = (0..<lines).map { _ in
        (0..<64).map { _ in seed == nil ? "7" : "\(Int.random(in: 0..<320, using: &random))" }
          .joined(separator: " ")
      }
      try place.write(lines.joined(separator: "\n") + "\n", to: name)
    }

    private func verified(
      _ place: Workplace,
      _ reference: String,
      _ candidate: String,
      _ more: String...
    ) throws -> Outcome {
      try place.run(
        ["verify", reference, candidate, "--data", "held.ids", "--window", "64"] + more
      )
    }

    /// DeepSeek's FP8 as it is published: converted, quantized in both ways, verified.
    @Test func eightBitDeepSeekRunsDownTheRiver() throws {
      try inWorkplace { place in
        try ids(1, lines: 40, place, as: "calibration.ids")
        try ids(2, lines: 24, place, as: "held.ids")
        let original = fixture(Self.model)
        #expect(try place.karat("convert", original, "model.kcf").status == 0)
        #expect(try place.karat("convert", original, "floats", "--dtype", "f32").status == 0)
        for copy in ["model.kcf", "floats"] {
          let same = try verified(place, original, copy, "--max-drop", "0%")
          #expect(same.status == 0, "\(same.errors)")
        }

        let text = ["--calibration", "calibration.ids"]
        for (preset, data) in [("int8", text), ("int8-dynamic", [])] {
          let quantized = try place.run(
            ["quantize", "model.kcf", preset, "--preset", preset] + data
          )
          #expect(quantized.status == 0, "\(quantized.errors)")
          let json = "\(preset).json"
          let found = try verified(place, original, preset, "--max-drop", "5%", "--json", json)
          #expect(found.status == 0, "\(found.output)")
          #expect(found.output.contains("tokens routed anew"))
          #expect(found.output.contains("unused experts        0 in the reference, 0 in the"))
          let findings = try JSONValue.parse(try place.read(json))
          let routers = try #require(findings["routers"]?.array)
          #expect(
            routers.compactMap { $0["router"]?.string }
              == ["model.layers.1.mlp.gate", "model.layers.2.mlp.gate"]
          )
          for router in routers {
            for side in ["reference", "candidate"] {
              let counts = router[side]?["experts"]?.array?.compactMap(\.int) ?? []
              #expect(counts.count == 16 && counts.allSatisfy { $0 > 0 })
              #expect(counts.reduce(0, +) == 4 * 24 * 64)
              #expect(router[side]?["unused"]?.array?.count == 0)
            }
          }
          #expect(try place.karat("convert", preset, "again.kcf", "--force").status == 0)
          #expect(try verified(place, preset, "again.kcf", "--max-drop", "0%").status == 0)
        }
        let record = try JSONValue.parse(try place.read("int8/karat.json"))
        #expect(record["calibration"]?["tokens"]?.int == 40 * 64)
        #expect(record["calibration"]?["routers"]?.array?.count ?? 0 >= 2)
      }
    }

    /// A text that is one token over and over reaches few experts; the rest take their peers' ranges.
    @Test func expertsThatNoTokenReachesAreListed() throws {
      try inWorkplace { place in
        try ids(nil, lines: 8, place, as: "one.ids")
        try ids(2, lines: 24, place, as: "held.ids")
        try place.write(
          """
          version: 1
          model: \(fixture(Self.model))
          output: int8
          calibration: one.ids
          passes:
            - calibrate: { observer: minmax, windows: 8, length: 64, experts: true }
            - quantize-weights
            - quantize-activations: { experts: tensor }
          ignore: [lm_head, "re:.*kv_b_proj$"]
          verify: { max-drop: 1000%, data: held.ids, window: 64 }
          """,
          to: "recipe.yaml"
        )
        let outcome = try place.karat("run", "recipe.yaml")
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(outcome.errors.contains("of the 16 experts of model.layers.1.mlp.gate, not "))
        #expect(outcome.errors.contains("those are quantized as their peers are."))
        #expect(!outcome.output.contains("nan"))
      }
    }

    @Test func routersAreShownAndBadFilesRefused() throws {
      try inWorkplace { place in
        try ids(3, lines: 10, place, as: "text.ids")
        let model = fixture(Self.model)
        let shown = try place.karat("inspect", model, "--router", "text.ids", "--memory", "100MB")
        #expect(shown.status == 0, "\(shown.errors)")
        #expect(shown.output.contains("model.layers.2.mlp.gate"))

        try place.write("1 2 3\n4\tx5 6\n", to: "word.ids")
        try place.write("1 2\r\n3 4294967296\r\n", to: "large.ids")
        try place.write("1 -2\n", to: "sign.ids")
        try place.write("1 2 320\n", to: "beyond.ids")
        try place.write("\n \n", to: "none.ids")
        let wanted = "numbers parted by spaces are needed, as karat tokenize prints them."
        for (file, message) in [
          ("word.ids", "word.ids, line 2: 'x5' is no token id; \(wanted)"),
          ("large.ids", "large.ids, line 2: '4294967296' is no token id; \(wanted)"),
          ("sign.ids", "sign.ids, line 1: '-2' is no token id; \(wanted)"),
          (
            "beyond.ids",
            "token 320 is not in the model's vocabulary of 320. Does the tokenizer belong to another model?"
          ),
          (
            "none.ids",
            "none.ids: the text has 0 tokens; at least 2 are needed, since the first of a window is not scored."
          ),
        ] {
          let outcome = try place.karat("verify", model, model, "--data", file)
          #expect(outcome.status == 65)
          #expect(outcome.message == "karat: " + message)
        }
        let encoder = fixture("bert-tiny")
        let blank = try place.karat("verify", encoder, encoder, "--data", "none.ids")
        #expect(
          blank.message
            == "karat: none.ids: there is no line of token ids; at least one is needed."
        )
        #expect(
          try place.karat(
            "verify",
            encoder,
            encoder,
            "--data",
            "text.ids",
            "--max-drop",
            "0%"
          ).status == 0
        )
      }
    }
  }
}
