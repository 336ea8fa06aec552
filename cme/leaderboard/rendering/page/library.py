"""The plotting library: Vega-Lite as its own project packs it, put into the page, so that nothing is fetched."""

from functools import cache

from cme.extras import need

__all__ = ["library"]


@cache
def library() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script (BSD 3-Clause) that defines ``vegaEmbed``.

    It is made by the installed ``vl-convert-python``: the same version gives the same bytes. Takes about two seconds.

    Raises:
        MissingExtraError: ``vl-convert-python`` is not installed.
    """
    vl_convert = need("vl_convert", extra="leaderboard", for_="The page of the leaderboard")
    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    # JavaScript reads the same string, HTML no end of the script.
    return bundle.replace("</script", "<\\/script").replace("<!--", "<\\!--").strip()
