import Foundation
import Karat
import KaratTestSupport
import Testing

extension Command {
  /// The gate: its verdicts as exit codes, and its findings as JSON.
  @Suite struct Gate {
    /// alice with the rows of its last norm scaled, which makes it far too sure of itself.
    private func damaged(_ place: Workplace) throws {
      var model = try EditedModel("alice")
      model.edit("model.norm.weight") { weights in weights = weights.map { $0 * 3 } }
      try model.write(to: place.path("damaged"))
    }

    @Test func theVerdictIsTheExitCode() throws {
      try inWorkplace { place in
        try damaged(place)
        try place.text("botchan-heldout.txt", characters: 4000, as: "text.txt")
        let alice = fixture("alice")
        let base = ["--data", "text.txt", "--window", "64"]

        let pass = try place.run(["verify", alice, alice] + base)
        #expect(pass.status == 0)
        #expect(pass.output.contains("PASS"))

        let fail = try place.run(["verify", alice, "damaged"] + base)
        #expect(fail.status == 1)
        #expect(fail.output.contains("FAIL"))

        // One short window is a single segment: nothing tells how sure its figures are.
        let undecided = try place.run(["verify", alice, alice] + base + ["--windows", "1"])
        #expect(undecided.status == 3)
        #expect(undecided.output.contains("UNDECIDED"))
        #expect(undecided.output.contains("too little text"))

        // As much as it lost is allowed.
        let lenient = try place.run(
          ["verify", alice, "damaged"] + base + ["--max-drop", "100000%"]
        )
        #expect(lenient.status == 0)
      }
    }

    @Test func findingsAsJSON() throws {
      try inWorkplace { place in
        try damaged(place)
        try place.text("botchan-heldout.txt", characters: 3000, as: "text.txt")
        let outcome = try place.karat(
          "verify",
          fixture("alice"),
          "damaged",
          "--data",
          "text.txt",
          "--window",
          "64",
          "--max-drop",
          "1.5%",
          "--json",
          "-"
        )
        #expect(outcome.status == 1)
        let json = try JSONValue.parse([UInt8](outcome.output.utf8))
        let keys = try #require(json.object?.members.map(\.key))
        for key in [
          "tokens", "perplexity", "kld", "top1_agreement", "tasks", "max_drop", "verdict",
        ] {
          #expect(keys.contains(key))
        }
        for key in ["reference", "candidate", "ratio", "ratio_ci95"] {
          #expect(json["perplexity"]?[key] != nil, "\(key)")
        }
        for key in ["mean", "stderr", "median", "p90", "p99", "p999", "max"] {
          #expect(json["kld"]?[key]?.double ?? -1 >= 0, "\(key)")
        }
        #expect(json["perplexity"]?["ratio_ci95"]?.array?.count == 2)
        #expect(json["tasks"]?.object?.count == 0)
        #expect(json["max_drop"]?.double == 0.015)
        #expect(json["verdict"]?.string == "fail")
        let agreement = try #require(json["top1_agreement"]?.double)
        #expect(agreement > 0.99 && agreement <= 1)  // scaling changes no order
        let tokens = try ModelTokenizer.open(fixture("alice")).encode(
          String(decoding: try place.read("text.txt"), as: UTF8.self),
          addSpecialTokens: false
        ).count
        let rest = tokens % 64
        #expect(json["tokens"]?.int == tokens / 64 * 63 + max(rest - 1, 0))

        let file = try place.karat(
          "verify",
          fixture("alice"),
          "damaged",
          "--data",
          "text.txt",
          "--window",
          "64",
          "--max-drop",
          "1.5%",
          "--json",
          "findings.json"
        )
        #expect(file.output.contains("FAIL"))
        #expect(try JSONValue.parse(try place.read("findings.json")) == json)
        let again = try place.karat(
          "verify",
          fixture("alice"),
          "damaged",
          "--data",
          "text.txt",
          "--json",
          "findings.json"
        )
        #expect(again.status == 73)
      }
    }

    @Test func modelsOfDifferentVocabulariesCannotBeCompared() throws {
      try inWorkplace { place in
        try place.text("botchan-heldout.txt", characters: 500, as: "text.txt")
        let outcome = try place.karat(
          "verify",
          fixture("alice"),
          fixture("llama-tiny"),
          "--data",
          "text.txt"
        )
        #expect(outcome.status == 65)
        #expect(
          outcome.message
            == "karat: the reference has a vocabulary of 1024 and the candidate one of 320; only models of one vocabulary can be compared."
        )
      }
    }

    @Test func aRecipeStopsAtTheFirstPassThatFails() throws {
      try inWorkplace { place in
        try place.text("botchan-calibration.txt", characters: 6000, as: "c.txt")
        try place.text("botchan-heldout.txt", characters: 6000, as: "h.txt")
        // The same function, but one channel of what q, k and v read is 30,000 times larger: one
        // scale cannot hold it and the others, while scales of weights hardly notice.
        var model = try EditedModel("alice")
        for layer in 0..<4 {
          let path = "model.layers.\(layer)."
          model.scale(TensorName(path + "input_layernorm.weight"), column: 0, by: 30_000)
          for name in ["q_proj", "k_proj", "v_proj"] {
            model.scale(TensorName(path + "self_attn.\(name).weight"), column: 0, by: 1 / 30_000)
          }
        }
        try model.write(to: place.path("spiky"))
        func recipe(_ model: String, _ output: String) -> String {
          """
          version: 1
          model: \(model)
          output: \(output)
          calibration: c.txt
          passes:
            - calibrate: { observer: minmax, windows: 4, length: 64 }
            - quantize-weights
            - quantize-activations
          ignore: [lm_head]
          verify: { max-drop: 50%, data: h.txt, window: 64 }
          """
        }
        try place.write(recipe(fixture("alice"), "out"), to: "kind.yaml")
        let kind = try place.karat("run", "kind.yaml")
        #expect(kind.status == 0, "\(kind.errors)")
        #expect(kind.errors.contains("After quantize-weights:"))
        #expect(kind.errors.contains("After quantize-activations:"))
        let record = try JSONValue.parse(try place.read("out/karat.json"))
        #expect(
          record["verification"]?.array?.compactMap { $0["after"]?.string }
            == ["quantize-weights", "quantize-activations"]
        )

        try place.write(recipe("spiky", "none"), to: "cruel.yaml")
        let cruel = try place.karat("run", "cruel.yaml")
        #expect(cruel.status == 1)
        #expect(cruel.message == "Nothing was written.")
        #expect(cruel.output.contains("FAIL"))
        #expect(!(try place.names().contains("none")))
      }
    }
  }
}
